"""What the database must hold, from what was acknowledged alone: another reading of each reply, and sets of keys."""

from collections import defaultdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from poller.codec import decompress
from poller.observation import Market, Observation, RunStarted, Status
from tests.support.model.words import is_reply, status_of
from tests.support.reading import Key, Reading, read, stored

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_END = datetime(2100, 1, 1, tzinfo=UTC)

_CONTRADICTED = """
SELECT count(*) FROM poller.poll_gaps AS gap JOIN poller.polls USING (account, market)
WHERE status = 'ok' AND time BETWEEN gap."from" AND gap."to"
"""
_OVERLAPS = """
SELECT count(*) FROM poller.schedules AS one JOIN poller.schedules AS other USING (recorder, account, market)
WHERE one.valid_from < other.valid_from AND tstzrange(one.valid_from, one.valid_to) && tstzrange(other.valid_from, NULL)
"""
_UNPROMISED = """
SELECT count(*) FROM poller.runs WHERE NOT EXISTS (
    SELECT FROM poller.schedules
    WHERE schedules.recorder = runs.recorder AND tstzrange(valid_from, valid_to) @> started_at
)
"""


class Truth:
    """Everything that was acknowledged, and what else may have been kept.

    Attributes:
        excused: Keys that a restored database may miss until all is offered again.
        excused_runs: Runs likewise.
        checks: How often the database was compared.
    """

    def __init__(self) -> None:
        self.acknowledged: defaultdict[Key, list[Observation]] = defaultdict(list)
        self.possible: defaultdict[Key, list[Observation]] = defaultdict(list)
        self.runs: dict[str, RunStarted] = {}
        self.stops: set[str] = set()
        self.excused: set[Key] = set()
        self.excused_runs: set[str] = set()
        self.checks = 0

    def check(self, connection: psycopg.Connection) -> None:
        """Raise AssertionError unless the database holds exactly what it must."""
        self.checks += 1
        statuses = self._check_polls(connection)
        self._check_rows(connection, {key for key, status in statuses.items() if status is Status.OK})
        self._check_rejected(connection, {key for key, status in statuses.items() if status is Status.MALFORMED})
        self._check_runs(connection)
        assert _number(connection, _CONTRADICTED) == 0, "a gap where there is an ok poll"

    def _check_polls(self, connection: psycopg.Connection) -> dict[Key, Status]:
        rows = connection.execute("SELECT time, account, market, status FROM poller.polls").fetchall()
        statuses = {(time, account, Market(market)): Status(status) for time, account, market, status in rows}
        assert len(statuses) == len(rows), "a tick is stored twice"
        missing = self.acknowledged.keys() - statuses.keys() - self.excused
        assert not missing, f"acknowledged and not stored: {sorted(missing)}"
        assert statuses.keys() <= self.acknowledged.keys() | self.possible.keys(), "stored and never polled"
        for key, status in statuses.items():
            candidates = {status_of(observation) for observation in self._candidates(key)}
            assert status in candidates, f"{key} is {status}, but was {candidates}"
            if key not in self.excused and any(map(is_reply, self.acknowledged.get(key, ()))):
                assert status is Status.OK, f"{key} is {status}, but a good reply was acknowledged"
        return statuses

    def _check_rows(self, connection: psycopg.Connection, keys: set[Key]) -> None:
        rows = stored(connection, _BEGINNING, _END)
        raw = _payloads(connection, "raw_payloads")
        assert rows.keys() == keys, "the rows of the tables are of other polls than the ok ones"
        assert raw.keys() == keys, "the archive holds others than the ok polls"
        for key in keys:
            kept = [one for one in self._candidates(key) if is_reply(one) and [(one.codec, one.body)] == raw[key]]
            assert kept, f"{key} keeps no reply of its own"
            assert rows[key] == _reading(kept[0]), f"{key} holds rows of another reply"

    def _check_rejected(self, connection: psycopg.Connection, keys: set[Key]) -> None:
        rejected = _payloads(connection, "rejected_payloads")
        assert rejected.keys() == keys, "rejected payloads are of others than the malformed polls"
        for key, payloads in rejected.items():
            candidates = [(one.codec, one.body or None) for one in self._candidates(key) if not is_reply(one)]
            assert len(payloads) == 1, f"{key} has several rejected payloads"
            assert payloads[0] in candidates, f"{key} rejects bytes that were never received"

    def _check_runs(self, connection: psycopg.Connection) -> None:
        rows = connection.execute("SELECT instance, recorder, started_at, stopped_at IS NULL FROM poller.runs")
        found = {instance: (recorder, started_at, is_open) for instance, recorder, started_at, is_open in rows}
        for instance, run in self.runs.items():
            if instance in self.excused_runs:
                continue
            stopped = instance in self.stops
            assert found.get(instance) == (run.recorder, run.started_at, not stopped), f"run {instance} is wrong"
        assert found.keys() <= self.runs.keys(), "a run that never was"
        assert _number(connection, _OVERLAPS) == 0, "one promise twice"
        assert _number(connection, _UNPROMISED) == 0, "a run without its promises"

    def _candidates(self, key: Key) -> list[Observation]:
        return [*self.acknowledged.get(key, ()), *self.possible.get(key, ())]


@lru_cache(maxsize=1000)
def _reading(observation: Observation) -> Reading:
    return read(observation.market, decompress(observation.codec, observation.body))


def _payloads(connection: psycopg.Connection, table: str) -> dict[Key, list[tuple[int, bytes | None]]]:
    query = SQL("SELECT time, account, market, codec, body FROM poller.{}").format(Identifier(table))
    found: dict[Key, list[tuple[int, bytes | None]]] = {}
    for time, account, market, codec, body in connection.execute(query):
        found.setdefault((time, account, Market(market)), []).append((codec, body))
    return found


def _number(connection: psycopg.Connection, query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
