"""The shape of the file: sections of frozen values, each with its own rule; rules between values are in `checks`."""

from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, PlainValidator, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from poller.config.addresses import (
    EMBEDDED,
    DatabaseUrl,
    PostgresqlUrl,
    ProxyUrl,
    RestUrl,
    WsUrl,
    is_address,
    is_loopback,
    passwords,
)
from poller.config.key_file import PrivateKeyFile, read_key_file, read_word_file
from poller.config.places import data_path
from poller.config.quantities import (
    Age,
    ExchangeKey,
    Flag,
    HostName,
    Interval,
    Keep,
    Listen,
    Name,
    Passphrase,
    Share,
    SpoolSize,
)
from poller.exchange.signing import Credentials, hmac_signer
from poller.observation import AssetMode, Environment, Market

WordFile = Annotated[SecretStr, BeforeValidator(read_word_file)]

_tree: ContextVar[dict[str, Any]] = ContextVar("tree")


class Section(BaseModel):
    """A part of the file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Addresses(Section):
    """Where one market is, instead of the exchange's own addresses; None keeps those."""

    ws_url: WsUrl | None = None
    rest_url: RestUrl | None = None


class Markets(Section):
    """Both markets' addresses."""

    usdm: Addresses = Addresses()
    coinm: Addresses = Addresses()


class Exchange(Section):
    """Which exchange is polled."""

    environment: Environment
    weight_share: Share = 0.5
    proxy: ProxyUrl | None = None
    markets: Markets = Markets()


class Account(Section):
    """One API key and what is polled with it."""

    name: Name
    markets: tuple[Market, ...] = tuple(Market)
    interval_seconds: Interval = Field(default=10, alias="interval")
    api_key: ExchangeKey | None = None
    api_key_file: WordFile | None = None
    api_secret: ExchangeKey | None = None
    api_secret_file: WordFile | None = None
    private_key_file: Annotated[PrivateKeyFile, PlainValidator(read_key_file)] | None = None
    private_key_passphrase: Passphrase | None = None
    key_is_read_only: Flag = False
    asset_mode: AssetMode | None = None

    @property
    def key(self) -> SecretStr | None:
        """The API key, wherever it came from."""
        return self.api_key or self.api_key_file

    def credentials(self) -> Credentials | None:
        """Return what signs this account's requests; None when the simulator that runs with the daemon makes it.

        Raises:
            ValueError: There is nothing to sign with, which loading has ruled out.
        """
        if self.key is None:
            return None
        if self.private_key_file:
            signer = self.private_key_file.signer(self.private_key_passphrase)
        else:
            secret = self.api_secret or self.api_secret_file
            signer = hmac_signer(secret.get_secret_value() if secret else "")
        return Credentials(self.key.get_secret_value(), signer)

    def secrets(self) -> tuple[str, ...]:
        """Return all that must never be printed."""
        texts = (self.key, self.api_secret, self.api_secret_file, self.private_key_passphrase)
        pem = self.private_key_file.pem.get_secret_value().decode(errors="replace") if self.private_key_file else ""
        return (*(text.get_secret_value() for text in texts if text), *([pem] if pem else []))


class Retention(Section):
    """For how many seconds each table of the history keeps its rows at least; None is for ever."""

    account_totals: Age = None
    asset_balances: Age = None
    positions: Age = None
    raw_payloads: Age = 7 * 86_400
    polls: Age = None

    def limits(self) -> dict[str, timedelta]:
        """Return how long is kept what is not kept for ever, by table; polls, to be dropped last, are the last."""
        return {table: timedelta(seconds=seconds) for table, seconds in self if seconds is not None}


class Database(Section):
    """Where history is stored, and for how long."""

    url: DatabaseUrl = SecretStr(EMBEDDED)
    migration_url: PostgresqlUrl | None = None
    retention: Retention = Retention()


class Spool(Section):
    """Where polls wait for the database, and how long they are kept after it has them."""

    path: Annotated[Path, PlainValidator(data_path)] = Field(default_factory=lambda: data_path("var/spool.sqlite"))
    max_size_bytes: SpoolSize = Field(default=ByteSize(2**30), alias="max_size")
    keep_seconds: Keep = Field(default=86_400, alias="keep")


class Log(Section):
    """How the daemon's log looks."""

    format: Literal["console", "json", "auto"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Http(Section):
    """Where the daemon tells of itself."""

    listen: Listen = "127.0.0.1:8080"
    names: tuple[HostName, ...] = ()

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port; None when it is off."""
        host, _, port = self.listen.rpartition(":")
        return (host.strip("[]"), int(port)) if host else None

    @property
    def local_only(self) -> bool:
        """Whether only this machine reaches it."""
        return self.address is None or is_loopback(self.address[0])

    def answers_to(self, host: str) -> bool:
        """Tell whether a client may call this host so: no foreign DNS can have led it here under that name."""
        if host in self.names:
            return True
        if self.local_only:
            return is_loopback(host)
        return is_address(host) or "." not in host


class Metrics(Section):
    """What the metrics tell."""

    account_labels: Flag = False


class Settings(BaseSettings):
    """All of a configuration, valid as a whole; `poller.config.load` makes it."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, case_sensitive=True)

    exchange: Exchange
    accounts: tuple[Account, ...]
    database: Database = Field(default_factory=Database)
    spool: Spool = Field(default_factory=Spool)
    http: Http = Field(default_factory=Http)
    metrics: Metrics = Field(default_factory=Metrics)
    log: Log = Field(default_factory=Log)

    _embedded_directory: Path = PrivateAttr(default_factory=lambda: data_path("var/postgres"))
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the tree alone.

        With the default sources an unrelated variable called LOG or SPOOL would become a setting, and keys of the file
        such as `_cli_parse_args` would become arguments of the constructor.
        """
        return (InitSettingsSource(settings_cls, init_kwargs=_tree.get()),)

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the settings that a tree of text stands for.

        Raises:
            pydantic.ValidationError: The tree has the wrong shape or breaks a rule of a single value.
        """
        token = _tree.set(tree)
        try:
            return cls.model_validate({})
        finally:
            _tree.reset(token)

    @property
    def environment(self) -> Environment:
        """Which exchange all accounts belong to."""
        return self.exchange.environment

    @property
    def addresses(self) -> dict[Market, Addresses]:
        """The markets that are somewhere else than the exchange says."""
        both = {Market.USDM: self.exchange.markets.usdm, Market.COINM: self.exchange.markets.coinm}
        return {market: addresses for market, addresses in both.items() if addresses != Addresses()}

    @property
    def simulates(self) -> bool:
        """Whether the simulated exchange runs with the daemon: it does unless addresses name one elsewhere."""
        return self.environment is Environment.SIMULATED and not self.addresses

    @property
    def database_url(self) -> str | None:
        """The database for recording, as `postgresql://…`; None means the embedded one."""
        url = self.database.url.get_secret_value()
        return None if url == EMBEDDED else url

    @property
    def migration_url(self) -> str | None:
        """The database as the owner of its schema; None means the embedded one."""
        return self.database.migration_url.get_secret_value() if self.database.migration_url else self.database_url

    @property
    def proxy(self) -> str | None:
        """The HTTP proxy that leads to the exchange, as `http://[user:password@]host:port`; None goes straight."""
        return self.exchange.proxy.get_secret_value() if self.exchange.proxy else None

    @property
    def embedded_directory(self) -> Path:
        """Where the embedded database keeps its data, absolute."""
        return self._embedded_directory

    def secrets(self) -> tuple[str, ...]:
        """Return all that must never be printed: keys, secrets, private keys and passwords."""
        urls = filter(None, (self.database_url, self.migration_url, self.proxy))
        accounts = (secret for account in self.accounts for secret in account.secrets())
        return tuple(dict.fromkeys((*accounts, *(password for url in urls for password in passwords(url)))))

    def warnings(self) -> tuple[str, ...]:
        """Return what is allowed but perhaps not meant, each as `path: what`."""
        return self._warnings

    def with_warnings(self, warnings: tuple[str, ...]) -> Self:
        """Return the same settings with these warnings."""
        copy = self.model_copy()
        copy._warnings = warnings  # noqa: SLF001 — the copy is of this very class
        return copy
