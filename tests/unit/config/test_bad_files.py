"""Every file in `tests/fixtures/config` says in its first lines, after `#> `, what is wrong with it."""

import re
from pathlib import Path

import pytest

from poller.config import load
from poller.errors import ConfigError

FILES = sorted((Path(__file__).parents[2] / "fixtures" / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_all_of_its_problems(path: Path) -> None:
    text = path.read_text()
    expected = [line.replace("{file}", str(path)) for line in re.findall("^#> (.*)$", text, re.MULTILINE)]
    environ = dict(re.findall("^# with ([^=]*)=(.*)$", text, re.MULTILINE))

    with pytest.raises(ConfigError) as caught:
        load(path, environ)

    assert list(caught.value.problems) == expected
    assert expected
