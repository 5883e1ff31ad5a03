"""Writes docs/schema.md anew from a throw-away database at the newest revision."""

import sys
from pathlib import Path
from typing import Final

from poller.storage.schema import upgrade
from tests.support.database import new_database
from tests.support.dictionary.document import document
from tests.support.dictionary.groups import NoPlaceError
from tests.support.dictionary.reading import read_schema
from tests.support.servers import VOLATILE, administrative, throw_away_server

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "schema.md"


def main() -> None:
    """Build a database, read it, and write what it says."""
    with (
        throw_away_server(VOLATILE) as server,
        new_database(administrative(server.url), extension=False) as url,
    ):
        upgrade(url, lambda _: None)
        try:
            text = document(read_schema(url))
        except NoPlaceError as error:
            sys.exit(str(error))
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
