"""What stands still with work to do is stuck; what is idle, slow or was stopped is not."""

from dataclasses import dataclass, field

from poller.daemon.progress import Duty, Progress


@dataclass
class Part:
    """Something that moves when it is told to, and a clock."""

    name: str = "writer"
    moves: int = 0
    work: bool = True

    def duty(self, seconds: float = 60.0) -> Duty:
        return Duty(name=self.name, seconds=seconds, moved=lambda: self.moves, has_work=lambda: self.work)


@dataclass
class Looker:
    """Looks every second."""

    parts: list[Duty]
    now: float = 1_000.0
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(self.parts, steady=lambda: self.now)

    def look(self, seconds: int = 1, *, every: float = 1.0) -> str | None:
        """Look for so many seconds and return what was seen last."""
        stuck = None
        for _ in range(int(seconds / every)):
            self.now += every
            stuck = self.progress.stuck()
        return stuck


def test_what_stands_still_with_work_to_do_is_named_once_its_time_is_over() -> None:
    looker = Looker([Part().duty()])

    assert looker.look(61) is None
    assert looker.look() == "writer: no progress for 61 s"


def test_what_moves_is_not_stuck_however_slowly() -> None:
    part = Part()
    looker = Looker([part.duty()])

    for _ in range(10):
        assert looker.look(60) is None
        part.moves += 1


def test_what_has_nothing_to_do_is_not_stuck_and_has_its_whole_time_from_then_on() -> None:
    part = Part(work=False)
    looker = Looker([part.duty()])

    assert looker.look(600) is None
    part.work = True
    assert looker.look(60) is None
    assert looker.look() == "writer: no progress for 61 s"


def test_what_moves_again_is_well_again() -> None:
    part = Part()
    looker = Looker([part.duty()])

    assert looker.look(100) is not None
    part.moves += 1
    assert looker.look() is None


def test_of_several_the_one_that_others_wait_for_is_named() -> None:
    looker = Looker([Part("spool").duty(20), Part("writer").duty(20)])

    assert looker.look(30) == "spool: no progress for 29 s"


def test_a_process_that_was_stopped_for_an_hour_is_not_stuck() -> None:
    looker = Looker([Part().duty()])
    looker.look(10)

    assert looker.look(3600, every=3600.0) is None
    assert looker.look(45) is None
