"""Writes the words and the dictionary of a codec, from nothing but the order of fields in the exchange's replies.

    python -m tests.support.new_codec

A file that a release has shipped is never written again: a better one gets another number here.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "poller" / "codec"
ZERO: Final = "0.00000000"
HEAD: Final = '{"id":"'
TAIL: Final = (
    ']},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400,"count":'
)
USDM_TOTALS: Final = (
    "totalInitialMargin", "totalMaintMargin", "totalWalletBalance", "totalUnrealizedProfit", "totalMarginBalance",
    "totalPositionInitialMargin", "totalOpenOrderInitialMargin", "totalCrossWalletBalance", "totalCrossUnPnl",
)  # fmt: skip
AMOUNTS: Final = (
    "walletBalance", "unrealizedProfit", "marginBalance", "maintMargin", "initialMargin", "positionInitialMargin",
    "openOrderInitialMargin", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount",
)  # fmt: skip
COINM_AMOUNTS: Final = (*AMOUNTS[:7], "maxWithdrawAmount", "crossWalletBalance", "crossUnPnl", "availableBalance")
SIDES: Final = ("BOTH", "LONG", "SHORT")
USDM_ASSETS: Final = "LDUSDT RWUSD BUSD BFUSD XRP SOL FDUSD U BNB ETH BTC USDT USD1 USDC BNFCR"
USDM_SYMBOLS: Final = (
    "FILUSDT ETCUSDT ICPUSDT UNIUSDT AAVEUSDT CRVUSDT NEARUSDT TONUSDT DOTUSDT XLMUSDT BCHUSDT LTCUSDT TRXUSDT WIFUSDT "
    "1000SHIBUSDT 1000PEPEUSDT KASUSDT RENDERUSDT TAOUSDT WLDUSDT TIAUSDT HYPEUSDT SUIUSDT AVAXUSDT LINKUSDT ADAUSDT "
    "BTCUSDT_261225 DOGEUSDT BNBUSDT XRPUSDT SOLUSDT ETHBTC SOLUSDC ETHUSDC BTCUSDC ETHUSDT BTCUSDT"
)
COINM_COINS: Final = (
    "NEAR WLD GMT CHZ SAND ENS UNI XTZ LUNA FTM ATOM USD ROSE EGLD CRV OP APE MATIC APT SUI ALGO MANA ATH ICX DOGS "
    "THETA AAVE ZIL AXS RUNE KNC VET WIF XLM GALA XMR TRX ETC EOS DOGE FIL AVAX SOL DOT LTC LINK ADA XRP BCH "
    "BNB ETH BTC"
)


def then(*names: str, value: str = ZERO) -> str:
    """Return what stands between two values: the end of one, fields of a usual value, and the name of the next."""
    return '","' + f'":"{value}","'.join(names) + '":"'


def usdm_words() -> tuple[str, ...]:
    """Return what a reply of USDⓈ-M repeats, each with a byte of its own."""
    untouched, rest = then(*AMOUNTS[:10]), f'{then(AMOUNTS[10])}{ZERO}","updateTime":0'
    return (
        HEAD, f'","status":200,"result":{{"{USDM_TOTALS[0]}":"', *map(then, USDM_TOTALS[1:]), '","assets":[{"asset":"',
        untouched, rest, f'{untouched}{ZERO}{rest}}},{{"asset":"', then(*AMOUNTS[3:8]), then(*AMOUNTS[8:10]),
        *map(then, AMOUNTS), '},{"asset":"', ',"marginAvailable":true},{"asset":"',
        ',"marginAvailable":true}],"positions":[', '}],"positions":[', '","updateTime":1', '},{"symbol":"',
        *(f'","positionSide":"{side}","positionAmt":"' for side in SIDES),
        then("isolatedMargin", "notional"), then("isolatedMargin"), then("notional"),
        then("isolatedWallet", "initialMargin", value="0"), then("isolatedWallet"), TAIL,
    )  # fmt: skip


def usdm_dictionary() -> str:
    """Return a text that looks like all replies of USDⓈ-M; its end is the cheapest to refer to."""
    names = then(*USDM_TOTALS[1:], *AMOUNTS[9:])
    empty = f'{HEAD}00000000-0000-4000-8000-00000000","status":200,"result":{{"{USDM_TOTALS[0]}":"{ZERO}{names}{ZERO}'
    symbols = "".join(
        f'}},{{"symbol":"{symbol}","positionSide":"BOTH","positionAmt":"-0.0' for symbol in USDM_SYMBOLS.split()
    )
    row = '},{"asset":"'.join
    name = f"{then(*AMOUNTS)}{ZERO}"
    plain = row(f'{asset}{name}","updateTime":0' for asset in USDM_ASSETS.split())
    shared = row(f'{asset}{name}","updateTime":0,"marginAvailable":true' for asset in USDM_ASSETS.split())
    assets = "".join(f'","assets":[{{"asset":"{rows}}}],"positions":[' for rows in (plain, shared))
    quiet = f"{then(*AMOUNTS)}{ZERO}"
    idle = "".join(f'{{"asset":"{asset}{quiet}","updateTime":17' for asset in ("BNB", "BTC", "USDC", "USDT"))
    return f'{empty}{idle}{symbols}{assets}{{"symbol":"BTCUSDT'


def usdm_words_but_one() -> tuple[str, ...]:
    """Return the words of a codec with turns, whose last byte stands for the word that usually follows."""
    return tuple(word for word in usdm_words() if word != ',"marginAvailable":true}],"positions":[')


def usdm_replies() -> str:
    """Return the symbols and two replies without amounts, of a multi-assets and a single-asset account."""
    return " ".join(USDM_SYMBOLS.split()) + usdm_reply(',"marginAvailable":true') + usdm_reply("")


def usdm_reply(shared: str) -> str:
    """Return a reply with rows of each kind; `shared` ends those of assets."""
    idle = f'{then(*AMOUNTS)}{ZERO}","updateTime":0{shared}'
    quiet = (
        f"{then(AMOUNTS[0])}0{then(AMOUNTS[1])}{ZERO}{then(AMOUNTS[2])}0{then(*AMOUNTS[3:7])}{ZERO}{then(AMOUNTS[7])}0"
        f'{then(AMOUNTS[8])}{ZERO}{then(*AMOUNTS[9:], value="0")}0","updateTime":1{shared}'
    )
    busy = f'{then(*AMOUNTS, value="0")}0","updateTime":1{shared}'
    assets = zip(("FDUSD", "U", "BNB", "ETH", "BTC", "USDT", "USD1", "USDC"),
                 (idle, idle, quiet, idle, busy, busy, idle, busy), strict=True)  # fmt: skip
    totals = then(*USDM_TOTALS[1:], *AMOUNTS[9:], value="0")
    symbols = (
        ("ETHUSDT", "BOTH"), ("SOLUSDT", ""), ("BTCUSDT_261225", "BOTH"), ("BTCUSDC", "LONG"), ("BTCUSDC", "SHORT"),
        ("BTCUSDT", "BOTH"), ("ETHUSDT", "BOTH"),
    )  # fmt: skip
    return (
        f'{HEAD}0","status":200,"result":{{"{USDM_TOTALS[0]}":"0{totals}0","assets":[{{"asset":"'
        + '},{"asset":"'.join(f"{asset}{row}" for asset, row in assets)
        + '}],"positions":[{"symbol":"'
        + '},{"symbol":"'.join(usdm_row(symbol, side) for symbol, side in symbols)
        + f"}}{TAIL}40}}]}}"
    )


def usdm_row(symbol: str, side: str) -> str:
    """Return a position without amounts, an isolated one where no side is given."""
    wallet = then("isolatedWallet", "initialMargin", value="0")
    margins = f"{then('isolatedMargin', 'notional')}-0{wallet}0"
    if not side:
        margins = "".join(
            f"{then(name)}0" for name in ("isolatedMargin", "notional", "isolatedWallet", "initialMargin")
        )
    head = f'{symbol}","positionSide":"{side or "BOTH"}","positionAmt":"-0{then("unrealizedProfit")}-0'
    return f'{head}{margins}{then("maintMargin")}0","updateTime":1'


def coinm_words() -> tuple[str, ...]:
    """Return what a reply of COIN-M repeats, each with a byte of its own."""
    margins = ("initialMargin", "maintMargin", "unrealizedProfit", "positionInitialMargin", "openOrderInitialMargin")
    before = f"{then(*margins[:3], value='0')}{ZERO}{then(*margins[3:], 'leverage', value='0')}"
    sides = [f'","isolated":false,"positionSide":"{side}","entryPrice":"' for side in SIDES]
    behind = (
        f'{then("notionalValue", "isolatedWallet", value="0")}0","updateTime":0,"positionAmt":"0","breakEvenPrice":"'
    )
    return (
        HEAD, '","status":200,"result":{"feeTier":', ',"canTrade":true,"canDeposit":true,"canWithdraw":true',
        ',"updateTime":0,"assets":[{"asset":"', f'{then(*COINM_AMOUNTS)}{ZERO}","updateTime":0}},{{"asset":"',
        f'{then(*AMOUNTS)}{ZERO}","updateTime":0}},{{"asset":"',
        *map(then, COINM_AMOUNTS), '","updateTime":0},{"asset":"', '},{"asset":"', '}],"positions":[{"symbol":"',
        before, *sides, *(f"{side}{ZERO}{then('maxQty')}" for side in sides), then("maxQty"),
        f'{behind}{ZERO}"}},{{"symbol":"', "USD_PERP", f'9223372036854775807{behind}{ZERO}"}},{{"symbol":"',
        '","leverage":"', then("notionalValue"), then("isolatedWallet"), '","updateTime":1', ',"positionAmt":"',
        then("breakEvenPrice"), '"},{"symbol":"', TAIL,
    )  # fmt: skip


def coinm_dictionary() -> str:
    """Return a text that looks like all replies of COIN-M."""
    words = coinm_words()
    before, long, behind = words[20], words[25], words[28]
    positions = "".join(f"{coin}USD_PERP{before}0{long}10000000{behind}" for coin in COINM_COINS.split())
    assets = "".join(f"{coin}{words[4]}" for coin in COINM_COINS.split())
    return f'{positions}{assets}","updateTime":0,"assets":[{{"asset":"'


def files() -> Iterator[tuple[str, str]]:
    """Yield each file's name and text: a word a line, an empty line, the dictionary."""
    yield "usdm_v2.txt", "\n".join((*usdm_words(), "", usdm_dictionary()))
    yield "usdm_v3.txt", "\n".join((*usdm_words_but_one(), "", usdm_replies()))
    yield "coinm_v2.txt", "\n".join((*coinm_words(), "", coinm_dictionary()))


if __name__ == "__main__":
    for file_name, text in files():
        if (path := FOLDER / file_name).exists():
            sys.exit(f"{path} is there already: history may depend on it")
        path.write_text(text, encoding="ascii")
