"""All that is generated, as text for files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from grafana.generator.account import account
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
    return {
        FOLDER / "dashboards" / f"{name}.json": json.dumps(build(), indent=2, ensure_ascii=False) + "\n"
        for name, build in DASHBOARDS.items()
    }
