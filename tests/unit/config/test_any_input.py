"""Whatever the file holds, it is loaded or refused with a ConfigError that repeats none of its values."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from poller.config import load
from poller.errors import ConfigError

DEFAULT = (Path(__file__).parents[3] / "config.yaml").read_text()
SECRET = "Zq8wRx3tT-this-is-nobodys-business"
FORMS = ["{}", "${{{}", "!{}", "!{}!x", "%{}", "[{}]", "{{a: {}}}", "{} ", '"{}', "postgresql://u:{}", "a: {}: b"]
FORMS.append("http://u:{}@h")
PATHS = """
exchange exchange.environment exchange.weight_share exchange.markets exchange.markets.usdm.ws_url
exchange.markets.usdm.rest_url
accounts accounts.- accounts.-.name accounts.-.markets accounts.-.markets.- accounts.-.interval accounts.-.asset_mode
accounts.-.api_key accounts.-.api_secret accounts.-.api_key_file accounts.-.api_secret_file accounts.-.key_is_read_only
exchange.proxy accounts.-.private_key_file accounts.-.private_key_passphrase
database database.url database.migration_url spool.path spool.max_size spool.keep log.format log.level
"""
anything = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

FRAGMENTS = r"""
{ } [ ] : - | > ' " ? # @ & * ! ~ &a *a !!int !a!b ${ $${ ${A} <<: 1:30 é "\ud800" "\0" \UFFFFFFFF --- ... %YAML
exchange accounts markets usdm ws_url database url spool path postgresql:// ws://[
"""
NAMES = """
exchange environment weight_share markets usdm coinm ws_url rest_url proxy accounts name interval api_key api_secret
api_key_file api_secret_file key_is_read_only private_key_file private_key_passphrase asset_mode database url
migration_url spool path max_size keep log format level _env_file self
"""
WORDS = "live simulated usdm 10s 1GiB embedded postgresql:// wss:// ${A} ~x"
BREAKS = [" ", ": ", "- ", "\n", "\n  ", "\n---\n", "%YAML 1.9\n---\n", "\t", "\x85"]

PIECES = st.sampled_from([*FRAGMENTS.split(), *BREAKS])
KEYS = st.sampled_from(NAMES.split())
VALUES = st.sampled_from(WORDS.split())
TREES = st.recursive(
    st.one_of(VALUES, st.text(max_size=8), st.none(), st.integers(), st.booleans(), st.floats(), st.binary(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=4)), inner)),
    max_leaves=25,
)


def problems_in(tmp_path: Path, content: bytes) -> tuple[str, ...]:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    try:
        load(path, {"A": "x\udc80"})
    except ConfigError as error:
        return error.problems
    return ()


def assert_loaded_or_refused(tmp_path: Path, content: bytes) -> None:
    problems = problems_in(tmp_path, content)

    assert [problem for problem in problems if ": " not in problem or not problem.isprintable()] == []


@anything
@example(b"[" * 100_000)
@example(b"- " * 5_000)
@example(b'a: "\\UFFFFFFFF"')
@example(b"%YAML 1." + b"9" * 5_000 + b"\n--- {}")
@example(b"\xff\xfea\x00")
@given(st.one_of(st.binary(), st.text().map(str.encode)))
def test_arbitrary_bytes_are_at_worst_a_config_error(tmp_path: Path, content: bytes) -> None:
    assert_loaded_or_refused(tmp_path, content)


@anything
@given(st.lists(PIECES, max_size=40), st.integers(0, len(DEFAULT)), st.integers(0, 40))
def test_broken_yaml_is_at_worst_a_config_error(tmp_path: Path, pieces: list[str], at: int, cut: int) -> None:
    assert_loaded_or_refused(tmp_path, (DEFAULT[:at] + "".join(pieces) + DEFAULT[at + cut :]).encode())


@anything
@given(st.dictionaries(KEYS, TREES))
def test_any_tree_is_at_worst_a_config_error(tmp_path: Path, tree: dict[str, object]) -> None:
    assert_loaded_or_refused(tmp_path, yaml.safe_dump(tree).encode())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", PATHS.split())
def test_no_message_repeats_a_value(tmp_path: Path, path: str, form: str) -> None:
    text = form.replace("{}", SECRET)
    for key in reversed(path.split(".")):
        text = f"[{text}]" if key == "-" else f"{{{key}: {text}}}"

    problems = problems_in(tmp_path, text.encode())

    assert problems
    assert "Zq8w" not in str(problems)
