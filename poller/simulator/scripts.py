"""Which fault meets which request."""

import random
from dataclasses import dataclass
from enum import StrEnum

from poller.observation import Market
from poller.simulator.envelope import Answer
from poller.simulator.faults import Fault, Outcome


class Stage(StrEnum):
    """What a script interferes with."""

    HANDSHAKE = "handshake"
    REQUEST = "request"
    REST = "rest"


@dataclass(slots=True, kw_only=True)
class _Script:
    faults: tuple[Fault, ...]
    market: Market | None
    stage: Stage
    label: str | None
    path: str | None
    left: int | None
    share: float

    def fits(self, stage: Stage, market: Market, label: str | None, path: str | None) -> bool:
        where = self.stage is stage and self.market in {None, market} and self.path in {None, path}
        return where and self.label in {None, label}


class Faults:
    """The scripts that wait for their request, handshake or REST call; the oldest that fits is taken.

    Equal seeds draw equal chances.
    """

    def __init__(self, seed: int = 0) -> None:
        self._scripts: list[_Script] = []
        self._chance = random.Random(seed)  # noqa: S311 - an order that can be repeated

    def next(
        self,
        market: Market | None,
        *faults: Fault,
        stage: Stage = Stage.REQUEST,
        label: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        share: float = 1.0,
    ) -> None:
        """Apply `faults` together to the next thing that fits.

        Args:
            market: None for either.
            faults: Applied in order.
            stage: What is interfered with.
            label: Only requests of this account.
            path: Only REST calls of this path.
            times: How often; None for ever.
            share: How likely it is that it meets what fits, by the seed; what it leaves is left to the next script.
        """
        script = _Script(faults=faults, market=market, stage=stage, label=label, path=path, left=times, share=share)
        self._scripts.append(script)

    def clear(self) -> None:
        """Forget all scripts."""
        self._scripts.clear()

    def outcome(
        self,
        stage: Stage,
        market: Market,
        *,
        answer: Answer | None = None,
        label: str | None = None,
        path: str | None = None,
    ) -> Outcome:
        """Return what happens now, and use up the script that says so."""
        outcome = Outcome(frames=(answer.body,) if answer else ())
        for fault in self._take(stage, market, label, path):
            outcome = fault.apply(outcome, answer)
        return outcome

    def _take(self, stage: Stage, market: Market, label: str | None, path: str | None) -> tuple[Fault, ...]:
        fitting = (script for script in self._scripts if script.fits(stage, market, label, path))
        script = next((script for script in fitting if self._chance.random() < script.share), None)
        if script is None:
            return ()
        if script.left is not None:
            script.left -= 1
            if not script.left:
                self._scripts.remove(script)
        return script.faults
