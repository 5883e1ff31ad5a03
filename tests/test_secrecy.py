"""The watch over what tests print sees what it is there for."""

import pytest

from tests.support.secrecy import Watch

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


@pytest.mark.parametrize(
    "text",
    [
        f"asked with {KEY}",
        f'{{"apiKey":"{KEY}"}}',
        '"signature":"0f04368b2d22aafd0ffc8809ea34297eff602272917b5f01267db4efbc1c9422"',
        "signature=mJ0gPKBXXlWRKuxRwOvrVn3bQZnSGBqVg2Y1Pl9ZtUzq4tqG0dGrT1yQ==",
    ],
)
def test_a_secret_or_signature_that_was_printed_is_found(text: str) -> None:
    watch = Watch(secrets={KEY}, printed=[("test_one", "nothing"), ("test_two", text)])

    assert [leak.partition(" ")[0] for leak in watch.leaks()] == ["test_two"]


def test_masked_text_is_no_leak() -> None:
    watch = Watch(secrets={KEY}, printed=[("test_one", '"apiKey":"***","signature":"***"')])

    assert list(watch.leaks()) == []


def test_what_a_worker_found_counts() -> None:
    assert list(Watch(told=["test_one printed a secret"]).leaks()) == ["test_one printed a secret"]


SUITE = """
from tests.support.secrecy import confide

def test_prints():
    confide("a-secret-of-the-suite")
    print("a-secret-of-the-suite")
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "by a worker"])
def test_a_run_that_prints_a_secret_fails(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    run = pytester.runpytest_subprocess("-p", "tests.support.secrecy", *arguments)

    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["LEAK *test_prints printed a secret"])
    run.assert_outcomes(passed=1)
