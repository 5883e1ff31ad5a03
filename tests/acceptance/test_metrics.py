"""What Prometheus gets from a running daemon."""

import re
from pathlib import Path

import pytest
import yaml

from poller.observation import Status
from tests.acceptance.conftest import Workplace
from tests.acceptance.test_http import ask, until
from tests.support.promtool import promtool

RULES = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml").read_text("utf-8"))


@pytest.mark.parametrize("account_labels", [False, True], ids=["accounts added up", "accounts told apart"])
async def test_metrics_are_as_prometheus_wants_them(workplace: Workplace, *, account_labels: bool) -> None:
    workplace.configure(account_labels=str(account_labels).lower())
    async with workplace.running("run") as program:
        port = (await program.until("http served"))["port"]
        early = (await ask(port, "/metrics"))[1]
        await until(lambda: ask(port, "/readyz"), 200)
        metrics = (await ask(port, "/metrics"))[1]
        assert await program.stop() == 0

    assert promtool("check", "metrics", given=early) == ""
    assert promtool("check", "metrics", given=metrics) == ""
    assert ('account="main"' in metrics) is account_labels
    whose = 'account="main",' if account_labels else ""
    for status in Status:
        assert f'poller_polls_total{{{whose}market="usdm",status="{status}"}} ' in early

    asked = {name for group in RULES["groups"] for rule in group["rules"] for name in _names(rule["expr"])}
    assert len(asked) > 10
    assert asked <= _names(metrics)


def _names(text: str) -> set[str]:
    return set(re.findall(r"\bpoller_\w+", text))
