"""The roles that deploy/roles.sql makes, in a database of their own."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from poller.storage.embedded_programs import find_wheel
from tests.support.database import execute
from tests.support.schema import ROOT

PASSWORD = "made up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The names of three roles of one database, and the address of its administrator."""

    administrator: str
    owner: str
    writer: str
    reader: str

    @classmethod
    def named(cls, administrator: str) -> Self:
        """Return made-up names."""
        mark = token_hex(4)
        return cls(administrator=administrator, owner=f"Own-{mark}", writer=f"write-{mark}", reader=f"read-{mark}")

    def url(self, role: str) -> str:
        """Return the address of the database for one of them."""
        host = self.administrator.rpartition("@")[2]
        return f"postgresql://{role}:{PASSWORD.replace(' ', '%20')}@{host}"

    def run_script(self, *variables: str, administrator: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run deploy/roles.sql as an administrator does."""
        named = [f"{kind}={getattr(self, kind)}" for kind in ("owner", "writer", "reader")]
        given = [word for variable in (*named, *variables) for word in ("-v", variable)]
        script = ["-f", str(ROOT / "deploy" / "roles.sql")]
        return run_psql(administrator or self.administrator, *given, *script)

    def apply(self, *variables: str) -> None:
        """Run the script, and give each role the password."""
        ended = self.run_script(*variables)
        assert ended.returncode == 0, ended.stderr
        for role in (self.owner, self.writer, self.reader):
            execute(self.administrator, SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), PASSWORD))

    def remove(self) -> None:
        """Remove them with all that they own."""
        with psycopg.connect(self.administrator, autocommit=True) as administrator:
            there = administrator.execute(
                "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", ([self.reader, self.writer, self.owner],)
            )
            for role in [Identifier(name) for (name,) in there.fetchall()]:
                administrator.execute(SQL("DROP OWNED BY {} CASCADE").format(role))
                administrator.execute(SQL("DROP ROLE {}").format(role))


@contextmanager
def roles(administrator: str) -> Iterator[Roles]:
    """Have roles in a database that no migration has seen; a test lets the script make them."""
    made = Roles.named(administrator)
    try:
        yield made
    finally:
        made.remove()


def run_psql(url: str, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run psql of the embedded PostgreSQL on a database, without anybody's settings but those of `environ`."""
    known = conninfo_to_dict(url)
    own = {"PATH": os.defpath, "PGPASSWORD": str(known.pop("password", ""))}
    program = str(find_wheel() / "pginstall" / "bin" / "psql")
    where = [f"{name}={value}" for name, value in known.items()]
    return subprocess.run(
        [program, "-X", "-q", "-d", " ".join(where), *arguments],
        env={**(environ or {}), **own},
        capture_output=True,
        text=True,
        check=False,
    )
