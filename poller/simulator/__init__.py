"""A faithful simulated exchange on a real socket, written from the exchange's documents alone.

It shares no code with the client: a shared mistake would agree with itself.
"""

from poller.simulator.connection import ConnectionRules
from poller.simulator.keys import IssuedKey, KeyType
from poller.simulator.server import SimulatedExchange
from poller.simulator.standalone import serve
from poller.simulator.weight import WeightLimits

__all__ = ["ConnectionRules", "IssuedKey", "KeyType", "SimulatedExchange", "WeightLimits", "serve"]
