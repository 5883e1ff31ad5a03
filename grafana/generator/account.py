"""One account: its pools, balances and margins, how far it is below its peak, and what changed."""

from typing import Final

from grafana.generator import account_queries as queries
from grafana.generator import columns, margin, variables
from grafana.generator.dashboards import Row, dashboard, gaps, modes
from grafana.generator.panels import Json, Look, lines, money, signed, table

_MARKET: Final = "${__field.name}, ${__field.labels.market}"


def account() -> Json:
    """Return the dashboard of one account."""
    return dashboard(
        "account",
        "Poller / Account",
        "One account: margin pools, balances, margins, drawdown and daily change. A line is broken where nothing was "
        "recorded; gaps are red, changes of the modes purple.",
        rows=(_now(), _state(), _pools(), _over_time(), _by_asset(), _changes()),
        variables=(variables.account(several=False), variables.market(), variables.asset()),
        annotations=(gaps(), modes()),
    )


def _now() -> Row:
    units = table(
        "By unit",
        "At the last ok poll, for each unit apart: nothing is converted. Equity is the wallet balance + unrealised "
        "PnL; available is what new orders may use. USD multi is the whole account in multi-assets mode: its assets "
        "are also counted one by one, and each of them shows the account's available balance, converted.",
        queries.BY_UNIT,
        "No balance",
        {
            "unit": columns.UNIT,
            "equity": columns.money("Equity"),
            "wallet_balance": columns.money("Wallet balance"),
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "available_balance": columns.money("Available"),
        },
    )
    return Row(panels=((5, margin.worst_now()), (19, units)), height=7)


def _state() -> Row:
    state = table(
        "Recording and modes",
        "How the last tick ended, since when there is no newer ok poll, and the modes of the account. Unless the last "
        "tick is ok, what is shown is older than one interval.",
        queries.STATE,
        "This account is not recorded now",
        {
            "market": columns.MARKET,
            "last_status": columns.STATUS,
            "age": columns.age("Age"),
            "interval_seconds": columns.column("Interval", "s", 90),
            "asset_mode": columns.column("Asset mode"),
            "position_mode": columns.column("Position mode"),
            "last_error": columns.column("Error"),
        },
    )
    return Row(panels=((24, state),), height=4)


def _pools() -> Row:
    pools = table(
        "Margin pools, worst first",
        "What is liquidated on its own: maintenance margin, what there is, and how much of it can still be lost, in "
        "the unit of the row. A ? is unknown.",
        queries.POOLS,
        "No margin pool",
        {
            "market": columns.MARKET,
            "pool": columns.column("Pool"),
            "margin_ratio": columns.ratio("Margin ratio"),
            "maintenance_margin": columns.money("Maintenance margin"),
            "margin_balance": columns.money("Margin balance"),
            "left_over": columns.money("Can be lost"),
            "asset": columns.UNIT,
        },
    )
    balances = table(
        "Balances",
        "Of every asset at the last ok poll, in units of that asset. In multi-assets mode available and withdrawable "
        "balances are those of the whole account, converted: they do not add up.",
        queries.BALANCES,
        "No balance",
        {
            "market": columns.MARKET,
            "asset": columns.UNIT,
            "equity": columns.money("Equity"),
            "wallet_balance": columns.money("Wallet"),
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "initial_margin": columns.money("Initial margin"),
            "maintenance_margin": columns.money("Maintenance margin"),
            "available_balance": columns.money("Available"),
            "max_withdraw_amount": columns.money("Withdrawable"),
        },
    )
    return Row(panels=((24, pools), (24, balances)), height=6)


def _over_time() -> Row:
    return Row(panels=((24, margin.over_time()),), height=8)


def _by_asset() -> Row:
    panels = ((12, _equity()), (12, _pnl()), (8, _margins()), (8, _drawdown()), (8, _daily()))
    return Row(title="In $asset", repeat="asset", panels=panels, height=8)


def _equity() -> Json:
    return lines(
        "Equity and wallet balance in $asset",
        "In $asset, at the last ok poll of each step. Equity is the wallet balance + unrealised PnL.",
        queries.EQUITY,
        money("No balance in this range", _MARKET),
    )


def _pnl() -> Json:
    panel = lines(
        "Unrealised PnL in $asset",
        "In $asset, at the last ok poll of each step.",
        queries.PNL,
        signed("No balance in this range", "unrealised PnL, ${__field.labels.market}"),
        fillOpacity=10,
    )
    _paint_losses(panel)
    return panel


def _margins() -> Json:
    return lines(
        "Margins in $asset",
        "In $asset, at the last ok poll of each step, read from that poll itself: there is nothing where polls were "
        "dropped because of their age. In multi-assets mode the available balance of an asset is the account's.",
        queries.MARGINS,
        money("No balance in this range", _MARKET),
    )


def _drawdown() -> Json:
    return lines(
        "Drawdown in $asset, transfers included",
        "How far equity was below its highest so far, by the hour; of longer steps the deepest hour. Transfers are "
        "not in the replies: a withdrawal looks like a loss.",
        queries.DRAWDOWN,
        Look(
            no_data="No equity in this range",
            unit="percentunit",
            decimals=1,
            maximum=0,
            name="drawdown, ${__field.labels.market}",
        ),
        axisSoftMin=-0.05,
        fillOpacity=20,
    )


def _daily() -> Json:
    panel = lines(
        "Daily change in $asset",
        "In $asset: equity at the last ok poll of each UTC day minus that of the day before, transfers included; "
        "today so far. Where the range ends now, it begins 30 days ago here. Nothing stands where the day before has "
        "no poll.",
        queries.DAILY,
        signed("No day with one before it in this range", "change, ${__field.labels.market}"),
        drawStyle="bars",
        fillOpacity=60,
    )
    panel["timeFrom"] = "30d"
    _paint_losses(panel)
    return panel


def _paint_losses(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    defaults["color"] = {"mode": "thresholds"}
    defaults["custom"]["gradientMode"] = "scheme"


def _changes() -> Row:
    changes = table(
        "Wallet changes in the last day of the range",
        "From one ok poll to the next, and the symbols whose position changed with it. Realised PnL, commission, "
        "funding and transfers are not told apart by the replies. The newest 200, in units of the asset.",
        queries.CHANGES,
        "No wallet balance changed in the last day of the range",
        {
            "time": columns.TIME,
            "market": columns.MARKET,
            "asset": columns.UNIT,
            "change": columns.signed("Change"),
            "wallet_balance": columns.money("Wallet balance"),
            "symbols": columns.column("Symbols"),
            "elapsed": columns.column("Since the poll before", "s"),
        },
    )
    return Row(title="Changes", panels=((24, changes),), height=8)
