from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poller.config import Settings, load
from poller.config.weights import Load, Plan
from poller.errors import ConfigError
from poller.observation import Market

BOTH = frozenset(Market)
loads = st.lists(
    st.builds(Load, st.frozensets(st.sampled_from(Market), min_size=1), st.integers(1, 86_400) | st.integers(1, 90)),
    min_size=1,
    max_size=60,
)
plans = st.builds(Plan, loads=loads, share=st.integers(1, 100).map(lambda hundredths: hundredths / 100))


def loaded(tmp_path: Path, *, share: str, accounts: dict[str, int]) -> Settings:
    path = tmp_path / "config.yaml"
    rows = [
        f"  - {{name: {name}-{number}, interval: {name.partition('-')[0]}}}"
        for name, times in accounts.items()
        for number in range(times)
    ]
    path.write_text("\n".join([f"exchange: {{environment: simulated, weight_share: {share}}}", "accounts:", *rows]))
    return load(path, {})


def with_interval(plan: Plan, seconds: int) -> Plan:
    return Plan(loads=[Load(markets, seconds) for markets, _ in plan.loads], share=plan.share)


@given(plans)
def test_the_smallest_interval_is_accepted_and_none_below_it(plan: Plan) -> None:
    smallest = plan.smallest_interval
    if smallest is None:
        assert not with_interval(plan, 86_400).fits
        return
    assert with_interval(plan, smallest).fits
    assert smallest == 1 or not with_interval(plan, smallest - 1).fits


@given(plans)
def test_the_smallest_share_is_accepted_and_none_below_it(plan: Plan) -> None:
    smallest = plan.smallest_share
    if smallest is None:
        assert not Plan(loads=plan.loads, share=1.0).fits
        return
    assert Plan(loads=plan.loads, share=smallest).fits
    assert smallest <= 0.01 or not Plan(loads=plan.loads, share=(round(smallest * 100) - 1) / 100).fits


@given(plans, st.integers(0, 100_000))
def test_no_minute_has_more_polls_than_the_plan(plan: Plan, minute: int) -> None:
    begin = minute * 60
    due = sum(
        load.weight * len(range(-begin % load.interval_seconds, 60, load.interval_seconds)) for load in plan.loads
    )

    assert due <= plan.needed


def test_the_first_minute_of_the_epoch_has_all_polls_of_the_plan() -> None:
    plan = Plan(loads=[Load(BOTH, 7), Load(BOTH, 60), Load(BOTH, 3600)], share=0.5)

    assert plan.needed == 10 * 9 + 10 + 10
    assert plan.kept == 2 * (5 + 1) + 5 * 1 + 5


def test_accounts_that_need_more_than_the_share_are_refused_with_the_arithmetic(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, share="0.5", accounts={"5s": 18})

    (problem,) = caught.value.problems
    assert problem == (
        "accounts: need 2,160 weight a minute for polls (18 accounts every 5s: 18 * 12 * 10), but "
        "exchange.weight_share 0.5 of 2,400 allows 1,200, of which 22 are kept for handshakes, clock, account modes "
        "and contracts: 10s is the smallest interval that fits all, weight_share 0.91 fits these"
    )
    assert loaded(tmp_path, share="0.5", accounts={"10s": 18}).exchange.weight_share == 0.5
    assert loaded(tmp_path, share="0.91", accounts={"5s": 18}).exchange.weight_share == 0.91


def test_the_arithmetic_shows_the_largest_groups_of_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, share="0.02", accounts={"1s": 4, "2s": 3, "3s": 2, "1m": 1})

    (problem,) = caught.value.problems
    assert (
        "(4 accounts every 1s: 4 * 60 * 10, 3 accounts every 2s: 3 * 30 * 10, 2 accounts every 3s: 2 * 20 * 10, …)"
        in problem
    )
    assert "no interval fits so many accounts on one IP" in problem


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(1, 130), share=st.sampled_from(["0.05", "0.29", "0.5", "1", "1.0"]))
def test_the_interval_that_a_refusal_names_is_accepted_when_put_into_the_file(
    tmp_path: Path, number: int, share: str
) -> None:
    smallest = Plan(loads=[Load(BOTH, 1)] * number, share=float(share)).smallest_interval
    if smallest is not None:
        assert len(loaded(tmp_path, share=share, accounts={f"{smallest}s": number}).accounts) == number
    else:
        with pytest.raises(ConfigError, match=r"no interval fits|weight_share"):
            loaded(tmp_path, share=share, accounts={"1d": number})


def test_a_share_that_is_nearly_used_up_is_worth_a_warning(tmp_path: Path) -> None:
    assert loaded(tmp_path, share="0.5", accounts={"10s": 15}).warnings() == ()
    (warning,) = loaded(tmp_path, share="0.5", accounts={"10s": 16}).warnings()

    assert warning.startswith("exchange.weight_share: the polls need 960 of the 1,200 weight")
