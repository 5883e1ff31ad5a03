"""Which fault meets which request."""

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
    left: int | None

    def fits(self, stage: Stage, market: Market, label: str | None) -> bool:
        return self.stage is stage and self.market in {None, market} and self.label in {None, label}


class Faults:
    """The scripts that wait for their request, handshake or REST call; the oldest that fits is taken."""

    def __init__(self) -> None:
        self._scripts: list[_Script] = []

    def next(
        self,
        market: Market | None,
        *faults: Fault,
        stage: Stage = Stage.REQUEST,
        label: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Apply `faults` together to the next thing that fits.

        Args:
            market: None for either.
            faults: Applied in order.
            stage: What is interfered with.
            label: Only requests of this account.
            times: How often; None for ever.
        """
        self._scripts.append(_Script(faults=faults, market=market, stage=stage, label=label, left=times))

    def clear(self) -> None:
        """Forget all scripts."""
        self._scripts.clear()

    def outcome(
        self, stage: Stage, market: Market, *, answer: Answer | None = None, label: str | None = None
    ) -> Outcome:
        """Return what happens now, and use up the script that says so."""
        outcome = Outcome(frames=(answer.body,) if answer else ())
        for fault in self._take(stage, market, label):
            outcome = fault.apply(outcome, answer)
        return outcome

    def _take(self, stage: Stage, market: Market, label: str | None) -> tuple[Fault, ...]:
        script = next((script for script in self._scripts if script.fits(stage, market, label)), None)
        if script is None:
            return ()
        if script.left is not None:
            script.left -= 1
            if not script.left:
                self._scripts.remove(script)
        return script.faults
