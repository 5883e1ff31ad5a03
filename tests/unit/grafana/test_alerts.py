"""The file of alert rules is what every Grafana from 9.4 on takes, and leads to panels that there are."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

FOLDER: Final = Path(__file__).parents[3] / "grafana"
FILE: Final = FOLDER / "provisioning" / "alerting" / "poller.yaml"
GROUPS: Final[list[dict[str, Any]]] = yaml.safe_load(FILE.read_text("utf-8"))["groups"]
RULES: Final[list[dict[str, Any]]] = [rule for group in GROUPS for rule in group["rules"]]
FIELDS: Final = {
    "uid", "title", "condition", "data", "dashboardUid", "panelId", "noDataState", "execErrState", "for", "annotations",
    "labels",
}  # fmt: skip


def panels() -> set[tuple[str, int]]:
    boards = [json.loads(path.read_text("utf-8")) for path in (FOLDER / "dashboards").glob("*.json")]
    return {
        (board["uid"], inner["id"])
        for board in boards
        for panel in board["panels"]
        for inner in (panel, *panel.get("panels", []))
        if inner["type"] != "row"
    }


def test_names_are_told_apart() -> None:
    uids = [rule["uid"] for rule in RULES]

    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid) for uid in uids)
    assert len({rule["title"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_a_rule_has_the_fields_of_a_file(rule: dict[str, Any]) -> None:
    query, reduced, condition = rule["data"]

    assert rule.keys() == FIELDS
    assert {datum["refId"] == datum["model"]["refId"] for datum in rule["data"]} == {True}
    assert {datum["datasourceUid"] == datum["model"]["datasource"]["uid"] for datum in rule["data"]} == {True}
    assert (query["datasourceUid"], query["model"]["format"]) == ("poller", "time_series")
    assert reduced["datasourceUid"] == condition["datasourceUid"] == "__expr__"
    assert rule["noDataState"] in {"OK", "Alerting"}
    assert rule["execErrState"] in {"Error", "Alerting"}
    # Everywhere but in annotations and models, Grafana takes what follows a dollar for an environment variable.
    assert "$" not in json.dumps([rule["labels"], rule["title"], rule["uid"]])
    assert "${" not in json.dumps(rule["annotations"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_a_rule_leads_to_a_panel(rule: dict[str, Any]) -> None:
    assert (rule["dashboardUid"], rule["panelId"]) in panels()
    assert rule["annotations"]["__dashboardUid__"] == rule["dashboardUid"]
    assert rule["annotations"]["__panelId__"] == str(rule["panelId"])


def test_groups_are_evaluated_as_often_as_grafana_can() -> None:
    assert all(re.fullmatch(r"[1-9]0s|[1-9]m", group["interval"]) for group in GROUPS)


def test_alerts_have_a_folder_of_their_own() -> None:
    [provider] = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "poller.yaml").read_text("utf-8"))[
        "providers"
    ]

    assert {group["folder"] for group in GROUPS}.isdisjoint({provider["folder"]})


def test_one_alert_tells_of_a_database_that_does_not_answer_or_is_empty() -> None:
    assert [rule["title"] for rule in RULES if rule["noDataState"] == "Alerting"] == ["PollerNoStoredPoll"]
    assert [rule["title"] for rule in RULES if rule["execErrState"] == "Alerting"] == ["PollerNoStoredPoll"]
