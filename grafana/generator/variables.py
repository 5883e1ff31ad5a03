"""The variables of the dashboards: account, market, asset and symbol."""

from typing import Final

from grafana.generator.panels import DATABASE, Json
from grafana.generator.sql import CHOSEN, SINCE, UNTIL, clean

_ACCOUNT: Final = "SELECT account FROM poller.accounts ORDER BY account"

# The rollups say what there was in the range; the hour that lasts may not be in them yet.
_ASSET: Final = f"""
SELECT asset FROM (
    SELECT asset FROM poller.hourly_equity WHERE {CHOSEN} AND hour > {SINCE} - INTERVAL '1 hour' AND hour < {UNTIL}
    UNION ALL
    SELECT asset FROM poller.latest_assets WHERE {CHOSEN}
    UNION ALL
    SELECT totals_asset FROM poller.latest_accounts WHERE asset_mode = 'multi_assets' AND {CHOSEN}
) AS seen
WHERE asset IS NOT NULL
GROUP BY asset
ORDER BY asset NOT LIKE 'USD%', asset
"""
_POSITIONS: Final = f"""
    SELECT account, market, symbol FROM poller.hourly_positions
    WHERE {CHOSEN} AND hour > {SINCE} - INTERVAL '1 hour' AND hour < {UNTIL}
    UNION
    SELECT account, market, symbol FROM poller.latest_positions WHERE {CHOSEN}
"""
_SYMBOL: Final = f"""
SELECT DISTINCT symbol FROM ({_POSITIONS}) AS seen ORDER BY symbol
"""
_UNIT: Final = f"""
SELECT coalesce(margin_asset, 'unknown') AS margin_asset FROM ({_POSITIONS}) AS seen
JOIN poller.accounts USING (account)
LEFT JOIN poller.contracts USING (environment, market, symbol)
GROUP BY contracts.margin_asset
ORDER BY contracts.margin_asset NOT LIKE 'USD%', 1
"""


def account(*, several: bool) -> Json:
    """Return the variable of accounts; retired ones are among them."""
    return _variable("account", "Account", _ACCOUNT, several=several)


def asset() -> Json:
    """Return the variable of what balances are in, which is the unit of amounts."""
    return _variable("asset", "Asset", _ASSET)


def margin_asset() -> Json:
    """Return the variable of what positions are settled in, which is the unit of their amounts."""
    return _variable("margin_asset", "Margin asset", _UNIT)


def symbol() -> Json:
    """Return the variable of symbols."""
    return _variable("symbol", "Symbol", _SYMBOL)


def market() -> Json:
    """Return the variable of markets, of which there are two."""
    options = [_option("All", "$__all", selected=True), _option("usdm", "usdm"), _option("coinm", "coinm")]
    return {
        "name": "market",
        "label": "Market",
        "type": "custom",
        "query": "usdm,coinm",
        "options": options,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "multi": True,
        "includeAll": True,
        "hide": 0,
        "skipUrlSync": False,
    }


def _variable(name: str, label: str, sql: str, *, several: bool = True) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATABASE,
        "definition": clean(sql),
        "query": clean(sql),
        "refresh": 2,  # whenever the range changes
        "sort": 0,
        "regex": "",
        "options": [],
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]} if several else {},
        "multi": several,
        "includeAll": several,
        "hide": 0,
        "skipUrlSync": False,
    }


def _option(text: str, value: str, *, selected: bool = False) -> Json:
    return {"selected": selected, "text": text, "value": value}
