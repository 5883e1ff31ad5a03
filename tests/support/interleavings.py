"""Ticks of several accounts, whose replies come late, twice, swapped, unasked or broken."""

import random
from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial

from poller.exchange.frames import Unexpected
from poller.exchange.pending import Pending, PendingRequests, Reply

ACCOUNTS = 3

STRAYS = (
    (Unexpected.UNKNOWN, b'{"id":"nobody","status":200,"result":{}}'),
    (Unexpected.UNKNOWN, b'{"id":7,"status":200,"result":{}}'),
    (Unexpected.NULL_ID, b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'),
    (Unexpected.EVENT, b'{"e":"serverShutdown"}'),
    (Unexpected.EVENT, b'{"event":{"e":"serverShutdown"}}'),
    (Unexpected.FOREIGN, b'{"239999":"The system is under maintenance"}'),
    (Unexpected.UNDECODABLE, b"<html>"),
)


class Asked:
    """One account's request of one tick: what it must be given, and what it was."""

    def __init__(self, requests: PendingRequests, account: int, tick: int) -> None:
        self._block: AbstractContextManager[Pending] = requests.expect()
        self.pending = self._block.__enter__()
        self.frame = f'{{"id":"{self.pending.id}","status":200,"result":[{account},{tick}]}}'.encode()
        self.is_given_up = False
        self.is_answered = False
        self.is_forgotten = False

    def give_up(self) -> None:
        error = CancelledError()
        with suppress(CancelledError):
            self._block.__exit__(type(error), error, None)

    def take(self) -> Reply:
        reply = self.pending.outcome.result()
        self._block.__exit__(None, None, None)
        assert isinstance(reply, Reply)
        return reply


class Socket:
    """Does to real pending requests what chance says, and keeps the account of it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.unexpected: Counter[Unexpected] = Counter()
        self.expected: Counter[Unexpected] = Counter()
        self.requests = PendingRequests(self.unexpected)
        self.withheld: list[Asked] = []
        self.frames = self.delivered = 0

    def tick(self, tick: int) -> None:
        """Ask for every account, let things happen in a random order, and end the tick as its deadline does."""
        asked = [Asked(self.requests, account, tick) for account in range(ACCOUNTS)]
        happenings: list[Callable[[], None]] = [partial(self.say, late) for late in self.withheld]
        self.withheld.clear()
        for one in asked:
            if self.chance.random() < 0.2:
                self.withheld.append(one)
            else:
                happenings += [partial(self.say, one)] * self.chance.choices((1, 2), (9, 1))[0]
            if self.chance.random() < 0.2:
                happenings.append(partial(self.give_up, one))
        if self.chance.random() < 0.3:
            happenings.append(partial(self.stray, *self.chance.choice(STRAYS)))
        self.chance.shuffle(happenings)
        for happening in happenings:
            happening()
        for one in asked:
            self.end(one)

    def say(self, one: Asked) -> None:
        self.frames += 1
        if one.is_given_up:
            self.expected[Unexpected.UNKNOWN if one.is_forgotten else Unexpected.LATE] += 1
            one.is_forgotten = True
        elif one.is_answered:
            self.expected[Unexpected.UNKNOWN] += 1
        one.is_answered = True
        self.requests.receive(one.frame)

    def stray(self, kind: Unexpected, frame: bytes) -> None:
        self.frames += 1
        self.expected[kind] += 1
        self.requests.receive(frame)

    def give_up(self, one: Asked) -> None:
        one.is_given_up = True
        if one.is_answered:  # in the very turn of its deadline
            self.expected[Unexpected.LATE] += 1
            one.is_forgotten = True
        one.give_up()

    def end(self, one: Asked) -> None:
        if one.is_given_up:
            return
        if one.is_answered:
            assert one.take().body == one.frame
            self.delivered += 1
        else:
            self.give_up(one)

    def run(self, ticks: int) -> None:
        """Let so many ticks happen, and account for every frame of them."""
        for tick in range(ticks):
            self.tick(tick)
        assert len(self.requests) == 0
        assert self.unexpected == self.expected
        assert self.delivered + self.unexpected.total() == self.frames
