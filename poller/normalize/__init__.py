"""Observations → snapshots. Pure: no clock, no socket, no log.

A reply that cannot be understood raises `MalformedReplyError` with the place; what is new in it or gone from it is
reported as drift and loses nothing.
"""

from poller.normalize.modes import modes_of
from poller.normalize.rejection import reject
from poller.normalize.snapshot import Normalized, normalize

__all__ = ["Normalized", "modes_of", "normalize", "reject"]
