"""One library's writer in a process of its own: hands over 20 rows a second until standard input ends.

Where the database is comes as JSON on standard input. Rows are numbered by the time, so that a process that follows a
killed one uses no number again. Each number goes to standard output before it is handed over, each error that the
library tells when it comes.
"""

import asyncio
import json
import os
import sys
import time

from benchmarks.faults.peer import refuse_other_machines
from benchmarks.outage.peers import Place, find

ROWS_PER_SECOND = 20
_TEXT = 500


async def write_until_end(module: str, place: Place) -> None:
    """Hand over rows until standard input ends, then end the writer in good order."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with find(module)(place, lambda error: _tell(error=error[:_TEXT])) as write:
        number = int(time.time() * ROWS_PER_SECOND)
        while not ended.is_set():
            while number < int(time.time() * ROWS_PER_SECOND):
                number += 1
                _tell(row=number % 10**9)
                try:
                    await write(number % 10**9)
                except Exception as exc:  # noqa: BLE001 - what the library raises is what is looked for
                    _tell(error=f"{type(exc).__name__}: {exc}"[:_TEXT])
            await asyncio.sleep(1 / ROWS_PER_SECOND / 2)


def _tell(**line: object) -> None:
    os.write(sys.__stdout__.fileno(), f"{json.dumps(line)}\n".encode())  # type: ignore[union-attr]  # it has one


if __name__ == "__main__":
    # aiodns would resolve names beyond the reach of the audit hook; without it aiohttp asks the system.
    sys.modules["aiodns"] = None  # type: ignore[assignment]  # how an import is made to fail
    sys.addaudithook(refuse_other_machines)
    asyncio.run(write_until_end(sys.argv[1], Place(**json.loads(sys.stdin.readline()))))
