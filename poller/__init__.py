"""Records the complete history of Binance futures accounts in PostgreSQL."""

from importlib.metadata import version

__version__ = version("futures-account-poller")
