"""PostgreSQL refuses to run as root: the unprivileged account that root runs it as, and what that account must reach.

No permission is taken away, and none to read is given outside of the wheel: directories above the server's own become
searchable (o+x) and stay unlisted.
"""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from poller.errors import EmbeddedDatabaseError

NAME = "poller-postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A system account by its numbers."""

    uid: int
    gid: int

    def missing(self, wanted: int, info: os.stat_result) -> int:
        """Return those bits of `wanted` (given as for others, 0 to 7) that a file does not grant this account."""
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid == self.gid else 0
        return (wanted << shift) & ~info.st_mode


def account_for(data: Path) -> Account | None:
    """Return the account that must run a server on `data`, which need not exist; None is that of this process.

    Raises EmbeddedDatabaseError when a system account is needed and cannot be made.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (info := data.stat()).st_uid != 0:
        # Made by an ordinary user: it must stay usable without root.
        return Account(uid=info.st_uid, gid=info.st_gid)
    return _system_account()


def let_reach(account: Account, *, wheel: Path, directory: Path, warn: Callable[[str], None]) -> None:
    """Let `account` run the programs of `wheel` and own the data in `directory`; tell whatever is changed for that."""
    let_search(account, wheel.parent, warn)
    let_search(account, directory, warn)
    for tree in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if tree.exists():
            let_read(account, tree, warn)
    data = directory / "data"
    if data.exists() and data.stat().st_uid != account.uid:
        hand_over(account, data)


def let_search(account: Account, path: Path, warn: Callable[[str], None]) -> None:
    """Let `account` come to `path`: where search permission is missing, there or above, it is added and told."""
    for directory in (path, *path.parents):
        info = directory.stat()
        if missing := account.missing(stat.S_IXOTH, info):
            directory.chmod(stat.S_IMODE(info.st_mode) | missing)
            warn(f"search permission (x, not r) was added to {directory}: the database server does not run as root")


def let_read(account: Account, tree: Path, warn: Callable[[str], None]) -> None:
    """Let `account` read and run what is below `tree`, and tell once when anything had to be changed."""
    changed = 0
    for path in (tree, *tree.rglob("*")):
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            continue
        runnable = stat.S_IXOTH if info.st_mode & stat.S_IXUSR else 0
        if missing := account.missing(stat.S_IROTH | runnable, info):
            path.chmod(stat.S_IMODE(info.st_mode) | missing)
            changed += 1
    if changed:
        warn(f"{changed} files below {tree} were made readable: the database server does not run as root")


def hand_over(account: Account, tree: Path) -> None:
    """Make `account` the owner of `tree` and all below."""
    for path in (tree, *tree.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _system_account() -> Account:
    entry = _look_up()
    if entry is None:
        reason = _create()
        entry = _look_up()  # another process may have created it meanwhile
        if entry is None:
            raise EmbeddedDatabaseError(
                f"PostgreSQL refuses to run as root and the account {NAME} cannot be created ({reason}): "
                f"create it as a system account, run as an ordinary user, or name a server of your own in DATABASE_URL"
            )
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _look_up() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _create() -> str:
    """Create the account; return why it failed, if it did."""
    useradd = shutil.which("useradd", path=f"{os.defpath}:/usr/sbin:/sbin")
    if useradd is None:
        return "there is no useradd"
    said = subprocess.run(  # noqa: S603 -- constant arguments
        [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stderr.strip()
