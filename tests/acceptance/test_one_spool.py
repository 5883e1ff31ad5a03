"""Two programs on one spool: the second is refused, and the first does not notice."""

from tests.acceptance.conftest import Workplace


async def test_a_second_daemon_on_the_same_spool_names_the_first_and_ends(workplace: Workplace) -> None:
    async with workplace.running("run") as first:
        await first.until("poll stored", status="ok")
        code, output = await workplace.run("run")
        await first.until("poll stored", count=2, status="ok")
        assert await first.stop() == 0

    assert code == 3
    assert f"in use by pid {first.process.pid} (" in output
    assert workplace.database_url not in output
