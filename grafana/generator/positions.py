"""Positions: what is open now, how it came and went, and what it was worth."""

from grafana.generator import columns, variables
from grafana.generator import positions_queries as queries
from grafana.generator.dashboards import Row, dashboard, gaps
from grafana.generator.panels import Json, Look, lines, money, stat, table, timeline


def positions() -> Json:
    """Return the dashboard of positions."""
    return dashboard(
        "positions",
        "Poller / Positions",
        "What is open now, the largest loss first; how positions came and went, and what they were worth. A line is "
        "broken where nothing was recorded, and 0 where there was no position.",
        rows=(_now(), _open(), _life(), _by_unit(), _leverage()),
        variables=(
            variables.account(several=True),
            variables.market(),
            variables.margin_asset(),
            variables.symbol(),
        ),
        annotations=(gaps(),),
    )


def _now() -> Row:
    count = stat(
        "Open positions",
        "At the last ok poll: those that share the cross margin, and those that are isolated.",
        queries.COUNT,
        Look(no_data="No open position"),
        background=False,
    )
    units = table(
        "By margin asset",
        "What all open positions are worth at mark price at the last ok poll: net with shorts negative, gross without "
        "signs, and how much of gross is isolated; in the unit of the row.",
        queries.BY_UNIT,
        "No open position",
        {
            "unit": columns.UNIT,
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "net_exposure": columns.signed("Net exposure"),
            "gross_exposure": columns.money("Gross exposure"),
            "isolated": columns.money("Isolated"),
            "positions": columns.column("Positions", width=90),
        },
    )
    return Row(panels=((5, count), (19, units)), height=6)


def _open() -> Row:
    state = table(
        "Open positions, largest loss first",
        "At the last ok poll. PnL % is of what the position was worth at its entry price. Real leverage is exposure / "
        "what stands behind it, shared by all cross positions; ? in multi-assets mode. Set leverage is known for "
        "coinm alone. Prices of usdm are derived from the exposure. Amount: usdm in coins, coinm in contracts.",
        queries.STATE,
        "No open position",
        {
            "account": columns.ACCOUNT,
            "market": columns.MARKET,
            "symbol": columns.column("Symbol"),
            "position_side": columns.column("Side", width=75),
            "unrealized_pnl": columns.signed("Unrealised PnL"),
            "pnl_ratio": {**columns.signed("PnL %"), "unit": "percentunit", "decimals": 2},
            "exposure": columns.signed("Exposure"),
            "margin_asset": columns.column("Unit", width=75),
            "position_amount": columns.money("Amount"),
            "entry_price": columns.money("Entry price"),
            "mark_price": columns.money("Mark price"),
            "margin": columns.column("Margin", width=85),
            "effective_leverage": columns.factor("Real leverage"),
            "leverage": columns.factor("Set leverage"),
            "maintenance_margin": columns.money("Maintenance margin"),
            "isolated_wallet": columns.money("Isolated wallet"),
            "age": columns.age("Age"),
        },
    )
    return Row(panels=((24, state),), height=10)


def _life() -> Row:
    life = timeline(
        "Life of positions",
        "Long, short or flat at the last ok poll of each step; empty where nothing was recorded. The 40 series that "
        "were worth most in the range.",
        queries.LIFE,
        Look(
            no_data="No position in this range",
            name=queries.NAME,
            mappings={"1": ("long", "green"), "0": ("flat", "transparent"), "-1": ("short", "red")},
        ),
    )
    events = table(
        "What happened in the last day of the range",
        "From one ok poll to the next, the newest 200. Several trades in between are one event; a position that was "
        "opened and closed in between is none. Amounts: usdm in coins, coinm in contracts.",
        queries.EVENTS,
        "No position changed in the last day of the range",
        {
            "time": columns.TIME,
            "account": columns.ACCOUNT,
            "symbol": columns.column("Symbol"),
            "position_side": columns.column("Side", width=75),
            "event": columns.column("Event", width=90),
            "change": columns.signed("Change"),
            "position_amount": columns.money("Amount"),
            "elapsed": columns.column("Within", "s", 80),
        },
    )
    return Row(panels=((13, life), (11, events)), height=10)


def _by_unit() -> Row:
    exposure = lines(
        "Exposure by symbol in $margin_asset",
        "In $margin_asset: what each position was worth at mark price, shorts negative, at the last ok poll of each "
        "step; 0 where there was none. The 20 largest of the range.",
        queries.by_symbol("exposure"),
        money("No position in this range", queries.NAME),
    )
    pnl = lines(
        "Unrealised PnL by symbol in $margin_asset",
        "In $margin_asset, at the last ok poll of each step; 0 where there was no position. The 20 largest "
        "positions of the range.",
        queries.by_symbol("unrealized_pnl"),
        money("No position in this range", queries.NAME),
    )
    isolated = lines(
        "Isolated against cross in $margin_asset",
        "In $margin_asset: gross exposure of isolated positions and of those that share the cross margin, the sum of "
        "the chosen accounts, read from the poll of each step. It is broken where one of them is unknown, and where "
        "positions were dropped because of their age.",
        queries.ISOLATED,
        money("No poll in this range"),
        fillOpacity=30,
        stacking={"group": "A", "mode": "normal"},
    )
    isolated["maxDataPoints"] = 400
    return Row(
        title="In $margin_asset", repeat="margin_asset", panels=((9, exposure), (9, pnl), (6, isolated)), height=9
    )


def _leverage() -> Row:
    leverage = lines(
        "Real leverage",
        "Exposure / what stands behind it, read from the poll of each step: of an isolated position its own margin, of "
        "others the cross margin of the asset, which they share. Nothing in multi-assets mode. The 20 highest.",
        queries.LEVERAGE,
        Look(no_data="No leverage known in this range", unit="suffix: x", decimals=2, name=queries.NAME, minimum=0),
    )
    leverage["maxDataPoints"] = 400
    return Row(title="Leverage", panels=((24, leverage),), height=8)
