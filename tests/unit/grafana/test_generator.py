"""What is generated for Grafana: current, laid out without overlap, and told of to whoever looks at it."""

import re
from itertools import combinations
from typing import Any, Final

import pytest
import yaml

from grafana.generator.rendering import rendered
from tests.support.grafana.dashboards import FILES, Json, panels, queries, read
from tests.support.schema import ROOT

KINDS: Final = {"stat", "state-timeline", "table", "timeseries"}
"""Kinds of panel that Grafana 9.4 has and every later version still has."""

SOURCES: Final = ROOT / "grafana/provisioning/datasources/poller.yaml"
PROVIDERS: Final = ROOT / "grafana/provisioning/dashboards/poller.yaml"


@pytest.mark.parametrize(("path", "text"), rendered().items(), ids=lambda value: getattr(value, "name", ""))
def test_what_is_checked_in_is_what_the_generator_writes(path: Any, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "write it anew: make dashboards"


def overlap(one: Json, other: Json) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return not (beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])


@pytest.mark.parametrize("name", FILES)
def test_panels_fill_the_width_without_overlap(name: str) -> None:
    dashboard = read(name)
    shown = dashboard["panels"]
    inside = [panel for row in shown for panel in row.get("panels", ())]

    assert [pair for group in (shown, inside) for pair in combinations(group, 2) if overlap(*pair)] == []
    assert {panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in shown if panel["gridPos"]["w"] == 24} <= {24}
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in (*shown, *inside)) == 24
    ids = [panel["id"] for panel in (*shown, *inside)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", FILES)
def test_every_panel_says_what_it_shows_and_what_no_data_means(name: str) -> None:
    for panel, _ in panels(read(name)):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["type"] in KINDS, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert defaults["noValue"], panel["title"]
        assert defaults["custom"].get("spanNulls", False) is False, panel["title"]
        assert panel.get("maxDataPoints", 0) <= 1000, panel["title"]


@pytest.mark.parametrize("name", FILES)
def test_an_amount_that_is_drawn_has_its_unit_in_the_title(name: str) -> None:
    for panel, repeat in panels(read(name)):
        if panel["type"] == "timeseries" and panel["fieldConfig"]["defaults"]["unit"] == "locale":
            assert f"${repeat}" in panel["title"]


@pytest.mark.parametrize("name", FILES)
def test_a_query_uses_the_variables_of_its_dashboard_quoted_alike_by_every_version(name: str) -> None:
    known = {variable["name"] for variable in read(name)["templating"]["list"]}
    for query in queries(name):
        assert set(re.findall(r"\$\{(\w+):sqlstring\}", query.sql)) <= known, query.where
        others = re.sub(r"\$\{\w+:sqlstring\}|\$__interval_ms|\$__time(From|To)\(\)", "", query.sql)
        assert "$" not in others, query.where


@pytest.mark.parametrize("name", FILES)
def test_links_lead_to_dashboards_that_exist(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    linked = set(re.findall(r'"/d/([\w-]+)', text))

    assert read(name)["uid"] == f"poller-{name}"
    assert linked == {f"poller-{other}" for other in FILES}


def test_the_data_sources_are_those_that_the_panels_name() -> None:
    sources = {source["uid"]: source["type"] for source in yaml.safe_load(SOURCES.read_text())["datasources"]}
    used = {
        (target["datasource"]["uid"], target["datasource"]["type"])
        for name in FILES
        for panel, _ in panels(read(name))
        for target in panel["targets"]
    }

    assert used == set(sources.items())


def test_the_provisioning_has_no_secret_and_explains_its_variables() -> None:
    text = SOURCES.read_text(encoding="utf-8") + PROVIDERS.read_text(encoding="utf-8")
    document = (ROOT / "docs/grafana.md").read_text(encoding="utf-8")
    [database, _] = yaml.safe_load(SOURCES.read_text())["datasources"]

    assert [name for name in re.findall(r"\$([A-Z_]+)\b", text) if f"`{name}`" not in document] == []
    assert database["secureJsonData"] == {"password": "$POLLER_DATABASE_PASSWORD"}
    assert database["database"] == database["jsonData"]["database"]
    assert isinstance(database["jsonData"]["timescaledb"], bool)


def test_every_dashboard_is_described() -> None:
    document = (ROOT / "docs/grafana.md").read_text(encoding="utf-8")

    assert [name for name in FILES if read(name)["title"] not in document] == []
