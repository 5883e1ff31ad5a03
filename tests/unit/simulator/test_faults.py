"""What scripted faults make of a reply."""

import json

import pytest

from poller.observation import Market
from poller.simulator.envelope import Answer
from poller.simulator.faults import (
    Delay,
    Drop,
    Duplicate,
    ErrorReply,
    Extra,
    Fault,
    Freeze,
    HangUp,
    HttpReply,
    Late,
    Outcome,
    Raw,
    Reset,
    Result,
)
from poller.simulator.scripts import Faults, Stage
from tests.support.exchange import invalid_utf8, nested, oversized, truncated

ANSWER = Answer(id='a"1', label="main", limits=[], server_ms=0).with_result({"assets": []})


def outcome(*faults: Fault) -> Outcome:
    scripts = Faults()
    scripts.next(Market.USDM, *faults)
    return scripts.outcome(Stage.REQUEST, Market.USDM, answer=ANSWER, label="main")


def test_without_a_script_the_true_reply_is_sent() -> None:
    assert outcome() == Outcome(frames=(ANSWER.body,))


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ((Raw(b"\xff<id>"),), Outcome(frames=(b'\xff"a\\"1"',))),
        ((Drop(),), Outcome()),
        ((Duplicate(),), Outcome(frames=(ANSWER.body, ANSWER.body))),
        ((Delay(1), Delay(2)), Outcome(frames=(ANSWER.body,), delay=3)),
        ((Late(),), Outcome(frames=(ANSWER.body,), is_late=True)),
        ((Extra(b"{}"), Duplicate()), Outcome(frames=(b"{}", ANSWER.body) * 2)),
        ((HangUp(),), Outcome(ending=HangUp())),
        ((Reset(after_reply=True),), Outcome(frames=(ANSWER.body,), ending=Reset(after_reply=True))),
        ((Freeze(),), Outcome(ending=Freeze())),
        ((HttpReply(status=403),), Outcome(frames=(ANSWER.body,), http=HttpReply(status=403))),
    ],
)
def test_faults_are_applied_in_order(faults: tuple[Fault, ...], expected: Outcome) -> None:
    assert outcome(*faults) == expected


def test_a_share_of_what_fits_is_met_and_equal_seeds_meet_the_same() -> None:
    def met(seed: int) -> list[bool]:
        scripts = Faults(seed)
        scripts.next(None, Drop(), times=None, share=0.25)
        return [scripts.outcome(Stage.REQUEST, Market.USDM, answer=ANSWER).frames == () for _ in range(2000)]

    assert met(1) == met(1) != met(2)
    assert 400 < sum(met(1)) < 600


def test_replaced_replies_stay_envelopes_of_the_request() -> None:
    (error,) = outcome(ErrorReply(status=401, code=-2015, msg="no", has_id=False)).frames
    (banned,) = outcome(ErrorReply(status=418, code=-1003, retry_after_ms=7)).frames
    (result,) = outcome(Result({"assets": [1]})).frames

    assert json.loads(error) == {"id": None, "status": 401, "error": {"code": -2015, "msg": "no"}, "rateLimits": []}
    assert json.loads(banned)["error"]["data"] == {"serverTime": 0, "retryAfter": 7}
    assert json.loads(result) == {"id": 'a"1', "status": 200, "result": {"assets": [1]}, "rateLimits": []}


def test_broken_bytes_can_be_scripted() -> None:
    assert ANSWER.body.startswith(outcome(truncated).frames[0])
    assert len(outcome(oversized(17 * 2**20)).frames[0]) == 17 * 2**20
    assert b"\xff" in outcome(invalid_utf8).frames[0]
    assert outcome(nested(3)).frames == (b'{"id":"a\\"1","status":200,"result":[[[]]]}',)


def test_a_script_waits_for_what_it_fits_and_is_used_up() -> None:
    scripts = Faults()
    scripts.next(Market.COINM, Drop(), label="other", times=2)
    scripts.next(None, Delay(1), stage=Stage.REST, times=None)

    def frames(market: Market, label: str) -> int:
        return len(scripts.outcome(Stage.REQUEST, market, answer=ANSWER, label=label).frames)

    assert [frames(Market.USDM, "other"), frames(Market.COINM, "main")] == [1, 1]
    assert [frames(Market.COINM, "other") for _ in range(3)] == [0, 0, 1]
    assert [scripts.outcome(Stage.REST, market).delay for market in Market] == [1, 1]
    scripts.clear()
    assert scripts.outcome(Stage.REST, Market.USDM) == Outcome()
