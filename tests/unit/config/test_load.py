import re
from datetime import timedelta
from pathlib import Path

import pytest

from poller.config import Settings, load
from poller.errors import ConfigError
from poller.observation import AssetMode, Environment, Market

DEFAULT = Path(__file__).parents[3] / "config.yaml"
KEYS = {"BINANCE_API_KEY": "public-part-of-the-key", "BINANCE_API_SECRET": "private-part-of-the-key"}
LIVE = """
exchange: {environment: live}
accounts: [{name: main, api_key: "${BINANCE_API_KEY}", api_secret: "${BINANCE_API_SECRET}"}]
"""
SIMULATED = """
exchange: {environment: simulated}
accounts: [{name: demo}]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def problems_of(path: Path, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    return list(caught.value.problems)


def test_the_default_file_simulates_one_account_on_both_markets() -> None:
    settings = load(DEFAULT, {})

    (account,) = settings.accounts
    assert (account.name, account.markets, account.interval_seconds) == ("demo", (Market.USDM, Market.COINM), 10)
    assert (settings.environment, settings.simulates) == (Environment.SIMULATED, True)
    assert (settings.database_url, settings.migration_url) == (None, None)
    assert account.credentials() is None
    assert settings.secrets() == settings.warnings() == ()


def test_the_default_file_says_what_is_the_default_anyway(tmp_path: Path) -> None:
    told, untold = load(DEFAULT, {}), load(written(tmp_path, SIMULATED), {})

    assert told.accounts == untold.accounts
    assert told.exchange == untold.exchange
    assert told.database == untold.database
    assert told.log == untold.log
    assert (told.spool.max_size_bytes, told.spool.keep_seconds) == (2**30, 86_400)
    assert told.spool.model_copy(update={"path": untold.spool.path}) == untold.spool


def test_going_live_is_the_default_file_with_its_own_instructions_followed(tmp_path: Path) -> None:
    text = DEFAULT.read_text()
    for key in ("api_key", "api_secret"):
        text, changes = re.subn(f"# ({key}: .*# going live: remove the `#`)", r"\1", text)
        assert changes == 1
    text = text.replace("environment: simulated", "environment: live").replace("name: demo", "name: main")

    settings = load(written(tmp_path, text), KEYS)

    credentials = settings.accounts[0].credentials()
    assert credentials is not None
    assert credentials.api_key == "public-part-of-the-key"
    assert (settings.environment, settings.simulates) == (Environment.LIVE, False)
    assert [warning.partition(":")[0] for warning in settings.warnings()] == ["database.url"]


def test_every_commented_key_of_the_default_file_is_a_real_one(tmp_path: Path) -> None:
    lines = [re.sub(r"^( *)# (?=( *)[a-z_]+:( |$))", r"\1", line) for line in DEFAULT.read_text().splitlines()]
    key = "environment variable BINANCE_KEY_PASSPHRASE is not set"

    problems = problems_of(
        written(tmp_path, "\n".join(lines)), KEYS | {"MIGRATION_URL": "postgresql://owner@localhost/x"}
    )

    assert f"accounts[0].private_key_passphrase: {key}" in problems
    assert not [problem for problem in problems if "not a key that exists" in problem]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.yaml"

    assert problems_of(path, {}) == [f"{path}: there is no such file"]
    assert problems_of(tmp_path, {}) == [f"{tmp_path}: cannot be read: Is a directory"]


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"log:\n\xff", "line 2: is not UTF-8"), (b"#" * (2**20 + 1), "is larger than 1 MiB")],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)

    assert problems_of(path, {}) == [f"{path}: {what}"]


def test_words_of_yaml_are_only_text_until_a_setting_says_otherwise(tmp_path: Path) -> None:
    text = SIMULATED.replace("demo", "0123") + "log: {format: ~, level: null}\ndatabase:\n"

    settings = load(written(tmp_path, text.replace("[{name", "[{name: no}, {name: 2026-11-21}, {name")), {})

    assert [account.name for account in settings.accounts] == ["no", "2026-11-21", "0123"]
    assert (settings.log.format, settings.log.level) == ("auto", "info")


def test_references_are_replaced_once_and_can_be_escaped(tmp_path: Path) -> None:
    text = LIVE.replace("${BINANCE_API_SECRET}", "a$b$$c$${D}-${BINANCE_API_SECRET}")

    settings = load(written(tmp_path, text), KEYS | {"BINANCE_API_SECRET": "${BINANCE_API_KEY}"})

    (account,) = settings.accounts
    assert account.api_secret is not None
    assert account.api_secret.get_secret_value() == "a$b$$c${D}-${BINANCE_API_KEY}"


def test_paths_start_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    written(tmp_path / "conf", SIMULATED)
    monkeypatch.chdir(tmp_path)

    settings = load(Path("conf/config.yaml"), {})

    assert settings.spool.path == tmp_path / "conf/var/spool.sqlite"
    assert settings.embedded_directory == tmp_path / "conf/var/postgres"


def test_data_go_into_the_state_directory_of_the_service(tmp_path: Path) -> None:
    settings = load(
        written(tmp_path, SIMULATED + "spool: {path: queue.sqlite}"), {"STATE_DIRECTORY": "/var/lib/poller"}
    )

    assert settings.spool.path == Path("/var/lib/poller/queue.sqlite")
    assert settings.embedded_directory == Path("/var/lib/poller/var/postgres")


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    path = written(tmp_path, SIMULATED + "spool: {path: /srv/queue.sqlite}")

    assert load(path, {"STATE_DIRECTORY": "/var/lib/poller"}).spool.path == Path("/srv/queue.sqlite")


def test_database_url_of_the_environment_replaces_both_addresses(tmp_path: Path) -> None:
    text = (
        SIMULATED
        + "database: {url: 'postgresql://a@production/history', migration_url: 'postgresql://b@production/history'}"
    )
    path = written(tmp_path, text)

    alone = load(path, {})
    replaced = load(path, {"DATABASE_URL": "postgresql://c@localhost/${NOT_A_REFERENCE}"})

    assert (alone.database_url, alone.migration_url) == (
        "postgresql://a@production/history",
        "postgresql://b@production/history",
    )
    assert replaced.database_url == replaced.migration_url == "postgresql://c@localhost/${NOT_A_REFERENCE}"
    assert replaced.warnings() == ("database.migration_url: is not used, since DATABASE_URL replaces both addresses",)


def test_an_empty_database_url_counts_as_unset(tmp_path: Path) -> None:
    assert load(written(tmp_path, SIMULATED), {"DATABASE_URL": ""}).database_url is None


def test_variables_that_are_called_like_sections_are_none_of_our_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOG", "SPOOL", "EXCHANGE", "ACCOUNTS", "DATABASE"):
        monkeypatch.setenv(name, "{}")

    assert load(written(tmp_path, SIMULATED), {}).accounts[0].name == "demo"


def test_a_simulated_exchange_elsewhere_is_polled_with_keys_of_its_own(tmp_path: Path) -> None:
    text = (
        LIVE.replace("environment: live", "environment: simulated, markets: {usdm: $, coinm: $}")
        .replace("$,", "{ws_url: 'ws://127.0.0.1:1/a', rest_url: 'http://[::1]:2/'},")
        .replace("$}", "{ws_url: 'wss://simulated.example/b', rest_url: 'http://localhost:3'}}")
    )

    settings = load(written(tmp_path, text), KEYS)

    assert not settings.simulates
    assert {market: (where.ws_url, where.rest_url) for market, where in settings.addresses.items()} == {
        Market.USDM: ("ws://127.0.0.1:1/a", "http://[::1]:2"),
        Market.COINM: ("wss://simulated.example/b", "http://localhost:3"),
    }


def test_an_address_of_one_market_leaves_the_other_alone(tmp_path: Path) -> None:
    text = LIVE.replace("live", "testnet, markets: {coinm: {rest_url: 'https://exchange.example'}}")

    ((market, where),) = load(written(tmp_path, text), KEYS).addresses.items()

    assert (market, where.ws_url, where.rest_url) == (Market.COINM, None, "https://exchange.example")


def test_one_key_may_serve_each_market_under_a_label_of_its_own(tmp_path: Path) -> None:
    key = 'api_key: "${BINANCE_API_KEY}", api_secret: "${BINANCE_API_SECRET}"'
    text = f"""
exchange: {{environment: testnet}}
accounts:
  - {{name: u, markets: [usdm], {key}, asset_mode: multi_assets}}
  - {{name: c, markets: [coinm], {key}}}
"""

    settings = load(written(tmp_path, text), KEYS)

    assert [account.asset_mode for account in settings.accounts] == [AssetMode.MULTI_ASSETS, None]


def test_secrets_written_into_the_file_are_worth_a_warning(tmp_path: Path) -> None:
    text = LIVE.replace("${BINANCE_API_SECRET}", "written-out-in-the-file")
    database = "database: {url: 'postgresql://poller:written-out-too@localhost/history'}"

    settings = load(written(tmp_path, text + database), KEYS)

    assert [warning.partition(":")[0] for warning in settings.warnings()] == ["accounts[0].api_secret", "database.url"]


def test_secrets_of_the_environment_are_no_reason_to_warn(tmp_path: Path) -> None:
    text = LIVE + "database: {url: '${READER}', migration_url: 'postgresql://owner:${OWNER}@localhost/history'}"
    environ = KEYS | {"READER": "postgresql://reader:not-written-out@localhost/history", "OWNER": "nor-this"}

    assert load(written(tmp_path, text), environ).warnings() == ()


def test_all_secrets_are_known_to_who_must_hide_them(tmp_path: Path) -> None:
    text = LIVE + "database: {url: 'postgresql://poller:a%40b%2Fc@localhost/history?sslpassword=d-e-f'}"

    assert load(written(tmp_path, text), KEYS).secrets() == (
        "public-part-of-the-key",
        "private-part-of-the-key",
        "a%40b%2Fc",
        "a@b/c",
        "d-e-f",
    )


def test_settings_show_no_secret_and_cannot_be_changed(tmp_path: Path) -> None:
    text = LIVE + "database: {url: 'postgresql://poller:hidden-password@localhost/history'}"
    settings = load(written(tmp_path, text), KEYS)

    shown = f"{settings!r} {settings} {settings.accounts[0].credentials()!r} {settings.model_dump_json()}"

    assert not [secret for secret in settings.secrets() if secret in shown]
    with pytest.raises(ValueError, match="frozen"):
        settings.accounts = ()
    assert isinstance(settings, Settings)


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy.example:3128",
        "http://proxy.example:80",
        "http://127.0.0.1:3128",
        "http://[::1]:3128",
        "http://us%40er:p%2Fw:x@proxy.example:3128",
    ],
)
def test_a_proxy_is_taken_as_it_is_written(tmp_path: Path, proxy: str) -> None:
    text = LIVE.replace("environment: live", 'environment: live, proxy: "${PROXY}"')
    path = written(tmp_path, text)

    assert load(path, KEYS | {"PROXY": proxy}).proxy == proxy
    assert load(path, KEYS | {"PROXY": f"{proxy}/"}).proxy == proxy
    assert load(path, KEYS | {"PROXY": proxy}).warnings() == load(written(tmp_path, LIVE), KEYS).warnings()


@pytest.mark.parametrize(
    ("proxy", "what"),
    [
        *((f"{scheme}://h:1", "only an HTTP proxy will do") for scheme in ("https", "socks5h", "SOCKS")),
        *(
            (text, "must be http://[user:password@]host:port and nothing else")
            for text in (
                "proxy.example:3128", "http://proxy.example", "http://proxy.example:0", "http://proxy.example:65536",
                "http://:3128", "http:///proxy", "http://h:1/path", "http://h:1//", "http://h:1?", "http://h:1#", "http://h:1/?a",
                "http://user@h:1", "http://user:@h:1", "http://:word@h:1", "http://a@b:c@h:1", "http://u:p w@h:1", "ftp://h:1",
                "http://u:pass/word@h:1", "HTTP://h:1", "http://hö:1", "http://h\\:1",
            )
        ),
    ],
)  # fmt: skip
def test_anything_else_is_no_proxy(tmp_path: Path, proxy: str, what: str) -> None:
    path = written(tmp_path, LIVE.replace("environment: live", 'environment: live, proxy: "${PROXY}"'))

    (problem,) = problems_of(path, KEYS | {"PROXY": proxy})

    assert problem.startswith("exchange.proxy: ")
    assert what in problem


def test_the_password_of_the_proxy_is_a_secret_and_belongs_into_the_environment(tmp_path: Path) -> None:
    text = LIVE.replace("environment: live", "environment: live, proxy: 'http://desk:pa%2Fss@proxy.example:3128'")

    settings = load(written(tmp_path, text), KEYS)

    assert settings.secrets()[-2:] == ("pa%2Fss", "pa/ss")
    assert "pa%2Fss" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "exchange.proxy" in [warning.partition(":")[0] for warning in settings.warnings()]


@pytest.mark.parametrize(("word", "known"), [("true", True), ("false", False), ("null", False)])
def test_a_key_is_read_only_when_its_owner_says_so(tmp_path: Path, word: str, *, known: bool) -> None:
    text = LIVE.replace("name: main", f"name: main, key_is_read_only: {word}")

    assert load(written(tmp_path, text), KEYS).accounts[0].key_is_read_only is known
    assert load(written(tmp_path, LIVE), KEYS).accounts[0].key_is_read_only is False


def test_raw_payloads_are_kept_for_a_week_and_all_else_for_ever(tmp_path: Path) -> None:
    assert load(written(tmp_path, SIMULATED), {}).database.retention.limits() == {"raw_payloads": timedelta(days=7)}


def test_any_table_may_be_kept_for_a_limited_time(tmp_path: Path) -> None:
    text = SIMULATED + "database: {retention: {positions: 30d, raw_payloads: 14d, polls: 365d, account_totals: 365d"
    settings = load(written(tmp_path, text + ", asset_balances: 365d}}"), {})

    limits = settings.database.retention.limits()
    assert list(limits.items())[-1] == ("polls", timedelta(days=365))
    assert (limits["positions"], limits["raw_payloads"]) == (timedelta(days=30), timedelta(days=14))
    assert [warning.partition(":")[0] for warning in settings.warnings()] == ["database.retention.positions"]


def test_raw_payloads_may_be_kept_for_ever(tmp_path: Path) -> None:
    settings = load(written(tmp_path, SIMULATED + "database: {retention: {raw_payloads: forever}}"), {})

    assert settings.database.retention.limits() == {}


@pytest.mark.parametrize(
    ("http", "address", "local_only"),
    [
        ("", ("127.0.0.1", 8080), True),
        ("http: {listen: '[::1]:9'}", ("::1", 9), True),
        ("http: {listen: '0.0.0.0:8080'}", ("0.0.0.0", 8080), False),  # noqa: S104 - what a user may want
        ("http: {listen: off}", None, True),
    ],
    ids=["nothing said", "loopback", "everywhere", "nowhere"],
)
def test_the_daemon_tells_of_itself_to_this_machine_alone_unless_told_otherwise(
    tmp_path: Path, http: str, address: tuple[str, int] | None, *, local_only: bool
) -> None:
    settings = load(written(tmp_path, SIMULATED + http), {})

    assert (settings.http.address, settings.http.local_only) == (address, local_only)


@pytest.mark.parametrize(
    ("listen", "host", "answers"),
    [
        ("127.0.0.1:8080", "localhost", True),
        ("127.0.0.1:8080", "::1", True),
        ("127.0.0.1:8080", "poller.example.com", True),
        ("127.0.0.1:8080", "poller", False),
        ("127.0.0.1:8080", "10.0.0.7", False),
        ("127.0.0.1:8080", "", False),
        ("10.0.0.7:8080", "poller", True),
        ("10.0.0.7:8080", "10.0.0.7", True),
        ("10.0.0.7:8080", "poller.example.com", True),
        ("10.0.0.7:8080", "evil.example.com", False),
        ("10.0.0.7:8080", "10.0.0.7.evil", False),
    ],
)
def test_a_name_that_foreign_dns_could_have_led_here_is_not_answered(
    tmp_path: Path, listen: str, host: str, *, answers: bool
) -> None:
    text = f"{SIMULATED}http: {{listen: '{listen}', names: [Poller.Example.com]}}"

    assert load(written(tmp_path, text), {}).http.answers_to(host) is answers


def test_a_name_to_answer_to_is_no_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http\.names\[0\]: must be the name of a host"):
        load(written(tmp_path, SIMULATED + "http: {names: ['http://poller.example.com']}"), {})
