"""The text of the comparison of writers through an outage."""

from benchmarks.outage.report import document
from benchmarks.outage.run import Result

TOLD = "refused at\n port 5432 | with `ticks` and 1795272512.7601972"


def test_a_row_says_what_was_written_kept_lost_doubled_and_told() -> None:
    peer = Result(writer="peer", written=100, kept=40, doubled=3, told="")
    ours = Result(writer="ours", written=50, kept=50, doubled=0, told=TOLD)
    text = document({False: [peer, ours], True: [peer]}, {"peer": "1.2.3"})

    assert "| peer | 1.2.3 |" in text
    assert text.count("| peer | 100 | 40 | 60 | 3 | nothing |") == 2
    assert "| ours | 50 | 50 | 0 | 0 | `refused at port … / with 'ticks' and …` |" in text
