"""What the exchange tells everybody: the contracts and the limits."""

from poller.observation import Market
from poller.simulator.contracts import Contract, Kind, contracts

_ONBOARD_MS = 1_569_398_400_000
_USDM_MARGIN_ASSETS = ("USDT", "USDC", "BTC", "BNB", "ETH", "FDUSD", "U", "USD1")


def exchange_info(market: Market, at_ms: int, weight_limit: int) -> dict[str, object]:
    """Return the body of `exchangeInfo`; expired contracts are not in it, though accounts still show them."""
    listed = [contract for contract in contracts(market, at_ms) if contract.kind is not Kind.EXPIRED]
    common: dict[str, object] = {
        "timezone": "UTC",
        "serverTime": at_ms,
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit}
        ],
        "exchangeFilters": [],
    }
    if market is Market.COINM:
        return common | {"symbols": [_coinm_symbol(contract) for contract in listed]}
    assets = [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in _USDM_MARGIN_ASSETS]
    return common | {"assets": assets, "symbols": [_usdm_symbol(contract) for contract in listed]}


def _usdm_symbol(contract: Contract) -> dict[str, object]:
    return _symbol(contract) | {"status": "TRADING", "settlePlan": 0}


def _coinm_symbol(contract: Contract) -> dict[str, object]:
    return _symbol(contract) | {
        "contractStatus": "TRADING",
        "contractSize": int(contract.size),
        "equalQtyPrecision": 4,
    }


def _symbol(contract: Contract) -> dict[str, object]:
    return {
        "symbol": contract.symbol,
        "pair": contract.pair,
        "contractType": contract.kind.value,
        "deliveryDate": contract.delivers_at_ms,
        "onboardDate": _ONBOARD_MS,
        "baseAsset": contract.base,
        "quoteAsset": contract.quote,
        "marginAsset": contract.margin_asset,
        "pricePrecision": contract.price_digits,
        "quantityPrecision": contract.quantity_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "filters": [],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK"],
        "liquidationFee": "0.015000",
        "marketTakeBound": "0.05",
    }
