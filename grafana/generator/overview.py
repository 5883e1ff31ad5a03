"""All accounts: who is closest to liquidation, what they are worth, and whether all of it is recorded."""

from typing import Final

from grafana.generator import columns, margin, variables
from grafana.generator import overview_queries as queries
from grafana.generator.dashboards import Row, dashboard, gaps
from grafana.generator.panels import Json, Look, lines, money, stat, table

_WHO: Final = "${__field.labels.account} ${__field.labels.market}"


def overview() -> Json:
    """Return the dashboard of all accounts."""
    return dashboard(
        "overview",
        "Poller / Overview",
        "All accounts: the margin ratio of the worst, equity, unrealised PnL and exposure. A line is broken where "
        "nothing was recorded.",
        rows=(_at_a_glance(), _worst_first(), _over_time(), _by_unit()),
        variables=(variables.account(several=True), variables.market(), variables.asset()),
        annotations=(gaps(),),
    )


def _at_a_glance() -> Row:
    silent = stat(
        "Not recorded now",
        "Accounts and markets whose last ok poll is older than three of their intervals. Of those, every figure here "
        "is as old as the column Age says.",
        queries.SILENT,
        Look(
            no_data="Nothing is to be recorded",
            steps=((None, "green"), (1, "red")),
            mappings={"0": ("none", "green")},
        ),
    )
    units = table(
        "Equity and unrealised PnL",
        "Of all chosen accounts, for each unit apart: nothing is converted. Equity is the wallet balance + unrealised "
        "PnL. Under USD multi are whole accounts in multi-assets mode, whose assets are also counted one by one.",
        queries.BY_UNIT,
        "No balance",
        {
            "unit": columns.UNIT,
            "equity": columns.money("Equity"),
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "accounts": columns.column("Accounts", width=90),
        },
    )
    return Row(panels=((5, margin.worst_now()), (5, silent), (14, units)), height=7)


def _worst_first() -> Row:
    accounts = table(
        "Accounts, worst first",
        "The worst margin pool of every account and market; 100 % is liquidation. Age: since the last ok poll. Click "
        "an account to see all of it.",
        queries.ACCOUNTS,
        "No account is recorded",
        {
            "account": columns.ACCOUNT,
            "market": columns.MARKET,
            "margin_ratio": columns.ratio("Margin ratio"),
            "pool": columns.column("Worst pool"),
            "positions": columns.column("Positions", width=85),
            "last_status": columns.STATUS,
            "age": columns.age("Age"),
            "last_error": columns.column("Error"),
        },
    )
    worth = table(
        "Equity and PnL, largest loss first",
        "At the last ok poll, in the unit of the row. Change: of equity since the last ok poll of the hour that began "
        "25 hours before this one, transfers included; ? where there was none.",
        queries.WORTH,
        "No balance",
        {
            "account": columns.ACCOUNT,
            "market": columns.MARKET,
            "unit": columns.UNIT,
            "equity": columns.money("Equity"),
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "change": columns.signed("Change, a day"),
        },
    )
    return Row(panels=((13, accounts), (11, worth)), height=9)


def _over_time() -> Row:
    exposure = table(
        "Exposure by symbol",
        "What the open positions of all chosen accounts are worth at mark price, shorts negative; net and gross, in "
        "the unit of the row.",
        queries.EXPOSURE_NOW,
        "No open position",
        {
            "unit": columns.UNIT,
            "symbol": columns.column("Symbol"),
            "net": columns.signed("Net"),
            "gross": columns.money("Gross"),
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "accounts": columns.column("Accounts", width=85),
        },
    )
    return Row(panels=((13, margin.over_time()), (11, exposure)), height=9)


def _by_unit() -> Row:
    together = lines(
        "Equity in $asset, together",
        "In $asset: the sum of the chosen accounts. It is broken where one of them that should have been polled was "
        "not: a part is no sum.",
        queries.TOGETHER,
        money("No equity in this range"),
    )
    equity = lines(
        "Equity in $asset",
        "In $asset: wallet balance + unrealised PnL at the last ok poll of each step. Click a line to see the account.",
        queries.by_account("equity"),
        money("No equity in this range", _WHO),
    )
    pnl = lines(
        "Unrealised PnL in $asset",
        "In $asset: of all open positions, at the last ok poll of each step.",
        queries.by_account("unrealized_pnl"),
        money("No equity in this range", _WHO),
    )
    exposure = lines(
        "Net exposure by coin in $asset",
        "In $asset: what positions settled in it are worth at mark price, shorts negative, the sum of the chosen "
        "accounts. It is broken where one of them is unknown.",
        queries.EXPOSURE,
        money("No position in this unit in this range"),
    )
    return Row(
        title="In $asset", repeat="asset", panels=((6, together), (6, equity), (6, pnl), (6, exposure)), height=9
    )
