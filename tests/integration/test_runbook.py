"""Whoever is called by an alert finds in the runbook what it means, and queries that work."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import yaml

from tests.support.database import new_database

CHECKOUT: Final = Path(__file__).parents[2]
RUNBOOK: Final = "docs/operations.md"
SECTION: Final = (CHECKOUT / RUNBOOK).read_text("utf-8").split("\n## Alerts\n")[1].split("\n## ")[0]
ENTRIES: Final[dict[str, str]] = dict(
    re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", SECTION, flags=re.MULTILINE | re.DOTALL)
)


def annotations(path: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the annotations of the alerts of a file."""
    groups = yaml.safe_load((CHECKOUT / path).read_text("utf-8"))["groups"]
    return {str(rule[name]): rule["annotations"] for group in groups for rule in group["rules"]}


GRAFANA: Final = annotations("grafana/provisioning/alerting/poller.yaml", "title")
PROMETHEUS: Final = annotations("deploy/prometheus/rules.yml", "alert")
QUERIES: Final = [
    pytest.param(query, id=f"{name} {number}")
    for name, entry in ENTRIES.items()
    for block in re.findall(r"```sql\n(.*?)```", entry, flags=re.DOTALL)
    for number, query in enumerate(block.strip().rstrip(";").split(";\n"))
]


@pytest.fixture(scope="module", name="connection")
def _connection(plain_server: str, plain_template: str) -> Iterator[psycopg.Connection]:
    """A database at the newest revision, which the tests only read."""
    with (
        new_database(plain_server, extension=False, template=plain_template) as url,
        psycopg.connect(url, options="-c default_transaction_read_only=on") as connection,
    ):
        yield connection


@pytest.mark.parametrize("alerts", [GRAFANA, PROMETHEUS], ids=["Grafana", "Prometheus"])
def test_every_alert_leads_to_its_entry(alerts: dict[str, dict[str, Any]]) -> None:
    assert {name: told["runbook_url"] for name, told in alerts.items()} == {
        name: f"{RUNBOOK}#{name.lower()}" for name in alerts
    }
    assert alerts.keys() <= ENTRIES.keys()
    assert all(told["summary"] and told["description"] for told in alerts.values())


def test_every_entry_is_of_an_alert_and_says_who_raises_it() -> None:
    assert GRAFANA.keys() | PROMETHEUS.keys() == ENTRIES.keys()
    for name, entry in ENTRIES.items():
        assert entry.strip().startswith("*Grafana.*") == (name not in PROMETHEUS)
        assert entry.strip().startswith("*Prometheus.*") == (name not in GRAFANA)


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_of_the_runbook_is_answered(query: str, connection: psycopg.Connection) -> None:
    assert connection.execute(query.encode()).description
