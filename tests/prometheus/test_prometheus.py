"""The example for Prometheus is valid, and each alert does what its name says."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promtool import promtool

CHECKOUT = Path(__file__).parents[2]
DEPLOYED = CHECKOUT / "deploy" / "prometheus"
CASES = Path(__file__).parent / "alerts.yml"

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DEPLOYED / "rules.yml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
NAMES = [str(rule["alert"]) for rule in RULES]


@pytest.mark.parametrize(
    "config", sorted({*DEPLOYED.glob("*.yml")} - {DEPLOYED / "rules.yml"}), ids=lambda path: path.name
)
def test_prometheus_takes_the_example_and_its_rules(config: Path) -> None:
    told = promtool("check", "config", "--lint=all", "--lint-fatal", str(config))

    assert f"{len(RULES)} rules found" in told


def test_alerts_fire_and_stay_silent_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(CASES))


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    cases = [
        bool(case.get("exp_alerts"))
        for test in yaml.safe_load(CASES.read_text("utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]

    assert set(cases) == {True, False}
