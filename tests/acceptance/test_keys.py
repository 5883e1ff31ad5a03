"""What `poller check` says of keys of every kind, from everywhere that they may come from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from poller.observation import Market
from poller.simulator import IssuedKey, SimulatedExchange
from poller.simulator.faults import ErrorReply
from tests.acceptance.conftest import Workplace
from tests.support.secrecy import confide


@dataclass(frozen=True)
class Accounts:
    """Accounts of a configuration: lines of YAML, and the environment that they need."""

    lines: list[str]
    environ: dict[str, str]


def guarded(path: Path, content: str) -> str:
    """Write a file that nobody else may read and return its name."""
    path.touch(mode=0o600)
    path.write_text(f"{content}\n", encoding="utf-8")
    return path.name


def in_the_environment(folder: Path, label: str, key: IssuedKey) -> Accounts:
    environ = {f"{label}_key": key.api_key}
    lines = [f"- name: {label}", f"  api_key: ${{{label}_key}}"]
    if key.private_key_pem:
        lines.append(f"  private_key_file: {guarded(folder / f'{label}.pem', key.private_key_pem.decode())}")
    else:
        environ[f"{label}_secret"] = key.api_secret or ""
        lines.append(f"  api_secret: ${{{label}_secret}}")
    return Accounts(lines, environ)


def in_files(folder: Path, label: str, key: IssuedKey) -> Accounts:
    lines = [f"- name: {label}-file", f"  api_key_file: {guarded(folder / f'{label}.key', key.api_key)}"]
    if key.private_key_pem:
        lines.append(f"  private_key_file: {guarded(folder / f'{label}-file.pem', key.private_key_pem.decode())}")
    else:
        lines.append(f"  api_secret_file: {guarded(folder / f'{label}.secret', str(key.api_secret))}")
    return Accounts([*lines, "  key_is_read_only: true"], {})


def secrets_of(key: IssuedKey) -> Iterator[str]:
    yield key.api_key
    yield from filter(None, [key.api_secret])
    if key.private_key_pem:
        yield from key.private_key_pem.decode().splitlines()[1:-1]


def configure(workplace: Workplace, *accounts: Accounts) -> dict[str, str]:
    """Write these accounts in the place of the one that is there, and return their environment."""
    path = workplace.directory / "config.yaml"
    before, after = path.read_text(encoding="utf-8").split("accounts:\n")
    lines = "".join(f"  {line}\n" for account in accounts for line in account.lines)
    path.write_text(f"{before}accounts:\n{lines}spool:{after.split('spool:')[1]}", encoding="utf-8")
    return {name: value for account in accounts for name, value in account.environ.items()}


async def test_check_accepts_keys_of_every_kind_from_the_environment_and_from_files(
    workplace: Workplace, exchange: SimulatedExchange
) -> None:
    keys = {
        label: (exchange.add_account(label, key_type=label), exchange.add_account(label, key_type=label))
        for label in ("hmac", "rsa", "ed25519")
    }
    secrets = [secret for pair in keys.values() for key in pair for secret in secrets_of(key)]
    confide(*secrets)
    environ = configure(
        workplace,
        *(in_the_environment(workplace.directory, label, first) for label, (first, _) in keys.items()),
        *(in_files(workplace.directory, label, second) for label, (_, second) in keys.items()),
    )
    code, output = await workplace.run("check", environ=environ)

    assert (code, output.count("FAIL")) == (0, 0)
    for label, kind in {"hmac": "HMAC", "rsa": "RSA", "ed25519": "Ed25519"}.items():
        said = f"{kind} key accepted; the account can trade and withdraw; the key is"
        assert f"ok    account {label} usdm: {kind} key accepted\n" in output
        assert f"ok    account {label} coinm: {said} not known to be read-only\n" in output
        assert f"ok    account {label}-file coinm: {said} known to be read-only\n" in output
    assert [secret for secret in secrets if secret in output] == []


async def test_check_says_what_is_wrong_with_refused_keys(workplace: Workplace, exchange: SimulatedExchange) -> None:
    key = exchange.key("main")
    assert key.api_secret is not None
    wrong = {
        "other_secret": (replace(key, api_secret=key.api_secret[::-1]), "-1022: the signature is wrong: the secret or"),
        "cut_off": (replace(key, api_key=key.api_key[:-1]), "-2014: the API key has the wrong form"),
        "unknown": (replace(key, api_key=key.api_key[::-1]), "-2015: the API key is unknown here"),
    }
    environ = configure(
        workplace, *(in_the_environment(workplace.directory, label, key) for label, (key, _) in wrong.items())
    )
    code, output = await workplace.run("check", environ=environ)

    assert code == 1
    for label, (_, words) in wrong.items():
        for market in Market:
            assert f"FAIL  account {label} {market}: HMAC key refused {words}" in output


async def test_check_tells_a_refused_key_from_a_trouble_that_says_nothing_of_it(
    workplace: Workplace, exchange: SimulatedExchange
) -> None:
    exchange.faults.next(Market.USDM, ErrorReply(status=400, code=-4109, msg="This account is inactive."))
    exchange.faults.next(Market.COINM, ErrorReply(status=400, code=-1102, msg="Mandatory parameter"))
    code, output = await workplace.run("check")

    assert code == 1
    assert "FAIL  account main usdm: HMAC key refused -4109: the account is inactive" in output
    assert "(This account is inactive.)" in output
    assert "FAIL  account main coinm: HMAC key neither accepted nor refused, rejected -1102: " in output
