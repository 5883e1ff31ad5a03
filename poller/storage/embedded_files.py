"""Files that are whole after a power cut, and private."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; after a power cut it is there whole, or as it was before."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as opened:  # noqa: PTH123 -- Path.open takes no mode
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)
    new.rename(path)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
