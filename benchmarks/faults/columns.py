"""Who is compared: ours, and each library on each market that it can ask over the WebSocket API."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.faults.cell import Start
from benchmarks.faults.clients import CHECKOUT, ours, peer
from poller.observation import Market

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A library on one market.

    Attributes:
        package: As the registry calls it.
        module: Below `benchmarks.faults.peers`.
    """

    package: str
    module: str
    market: Market

    @property
    def start(self) -> Start:
        """How it is run."""
        return partial(peer, module=self.module, market=self.market)


COLUMNS: Mapping[str, Column] = {
    "python-binance": Column(package="python-binance", module="python_binance", market=Market.USDM),
    "ccxt-usdm": Column(package="ccxt", module="ccxt_pro", market=Market.USDM),
    "ccxt-coinm": Column(package="ccxt", module="ccxt_pro", market=Market.COINM),
    "unicorn": Column(package="unicorn-binance-websocket-api", module="unicorn", market=Market.USDM),
    "sdk-usdm": Column(package="binance-sdk-derivatives-trading-usds-futures", module="official", market=Market.USDM),
    "sdk-coinm": Column(package="binance-sdk-derivatives-trading-coin-futures", module="official", market=Market.COINM),
}


def start_ours(directory: Path, database_url: str, fault: str) -> Start:
    """Return how the program is run under one fault: its account label is the fault's name."""
    directory.mkdir()
    return partial(ours, directory=directory, database_url=database_url, account=fault)


def versions() -> Mapping[str, str]:
    """Return the version of each package that is compared, as locked."""
    lock = (CHECKOUT / "benchmarks" / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(line.split(" ")[0].split("==") for line in lock.splitlines() if "==" in line)
    compared = sorted({column.package for column in COLUMNS.values()} | {"binance-common"})
    return {"futures-account-poller": version("futures-account-poller")} | {name: pins[name] for name in compared}
