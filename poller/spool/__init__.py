"""The durable queue between polling and storing: what `append` returned for survives any crash.

`spool` is its asynchronous face, `file` the SQLite file below it, `lock` its single owner, `row` the form of what is
kept, `notes` the few facts that are kept beside the queue; `carve` and `rescue` read a damaged file, `reader` a
whole one beside its owner. It knows neither the exchange nor the database, and writes no log: what happened is told by
return values and counters.
"""

from poller.spool.rescue import Recovery
from poller.spool.row import Pending
from poller.spool.spool import Spool

__all__ = ["Pending", "Recovery", "Spool"]
