"""config.yaml → frozen settings, or one ConfigError with every problem, each with its path in the file.

The file is read as text only (`document`), references to the environment are replaced (`variables`), every value is
checked by its own rule (`settings`, `validation`) and then against the others (`checks`). No message holds a value.
"""

from poller.config.loading import load
from poller.config.settings import Account, Addresses, Settings

__all__ = ["Account", "Addresses", "Settings", "load"]
