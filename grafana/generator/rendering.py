"""All that is generated, as text for files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from grafana.generator.account import account
from grafana.generator.alert_rules import GROUPS
from grafana.generator.alerts import provisioned
from grafana.generator.overview import overview
from grafana.generator.panels import Json
from grafana.generator.positions import positions
from grafana.generator.recording import recording

FOLDER: Final = Path(__file__).parents[1]

DASHBOARDS: Final[Mapping[str, Callable[[], Json]]] = {
    "overview": overview,
    "account": account,
    "positions": positions,
    "poller": recording,
}


def rendered() -> dict[Path, str]:
    """Return the text of every file."""
    dashboards = {name: build() for name, build in DASHBOARDS.items()}
    return {
        **{
            FOLDER / "dashboards" / f"{name}.json": json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
            for name, dashboard in dashboards.items()
        },
        FOLDER / "provisioning" / "alerting" / "poller.yaml": provisioned(GROUPS, list(dashboards.values())),
    }
