"""`make migration m="create funding"`: a new migration with what the tables have and the newest revision has not."""

import sys

from alembic import command

from poller.storage.schema import upgrade
from tests.support.database import new_database
from tests.support.schema import alembic_config
from tests.support.servers import VOLATILE, administrative, throw_away_server


def main() -> None:
    """Compare the tables with a throw-away database at the head, and write the difference as a migration."""
    what = " ".join(sys.argv[1:]).strip()
    if not what:
        sys.exit('say what it does, as an order: make migration m="create funding"')
    with (
        throw_away_server(VOLATILE) as server,
        new_database(administrative(server.url), extension=False) as url,
    ):
        upgrade(url, lambda _: None)
        command.revision(alembic_config(url), message=what[0].upper() + what[1:], autogenerate=True)


if __name__ == "__main__":
    main()
