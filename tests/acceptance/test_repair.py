"""What a user does when the database lost something or a release understands more."""

from tests.acceptance.conftest import Workplace
from tests.support.database import execute


async def test_polls_are_replayed_and_made_anew_while_the_daemon_records(workplace: Workplace) -> None:
    url = workplace.database_url
    async with workplace.running("run") as program:
        await program.until("poll stored", count=4, status="ok")
        lost = execute(url, "DELETE FROM poller.polls RETURNING time, account, market")
        for table in ("account_totals", "asset_balances", "positions", "raw_payloads"):
            execute(url, f"DELETE FROM poller.{table} WHERE time < now() + interval '1 day'")  # noqa: S608 - a name from above
        code, output = await workplace.run("replay", "--since", "1h")
        assert code == 0, output
        execute(url, "UPDATE poller.positions SET notional = 1 WHERE (time, account, market) = (%s, %s, %s)", *lost[0])
        renormalize = ("renormalize", "--from", "1h", "--to", "2100-01-01T00:00:00Z", "--dry-run")
        tried, said = await workplace.run(*renormalize)
        assert await program.stop() == 0
    kept = execute(url, "SELECT time, account, market FROM poller.raw_payloads")

    assert "refused; " in output
    assert set(lost) <= set(kept)
    assert tried == 0, said
    assert "nothing was written; it would be: " in said
    assert "0 still malformed" in said


async def test_a_span_that_ends_before_it_begins_is_refused(workplace: Workplace) -> None:
    code, output = await workplace.run("replay", "--since", "1h", "--until", "2h")
    none, no_zone = await workplace.run("renormalize", "--from", "2026-01-01", "--to", "1h")

    assert (code, none) == (2, 2)
    assert "behind --until" in output
    assert "has no zone" in no_zone
