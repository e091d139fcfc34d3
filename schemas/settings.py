"""The settings: environment variables `ARCEAUX_*`, read from the environment and from `.env`.

Any of them may be given as `NAME_FILE` instead, the path of a file that holds the value, which is how secrets come
in. `arceaux config` prints what is in force.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from schemas.durations import Duration, format_duration
from schemas.faults import ConfigurationError, fault_lines
from schemas.topics import LEVEL

PREFIX = "ARCEAUX_"
TIMESCALEDB_ROOT = "ARCEAUX_TIMESCALEDB_ROOT"
"""Not of the service: a Debian tree whose PostgreSQL with TimescaleDB the demo, the benchmark and tests run."""
_MOST_INFLIGHT = 65_534
"""Receive Maximum 65535 is the protocol's default, left off the wire, and mosquitto then falls back to its own 20."""

_DAY = timedelta(days=1)
_PASSWORD_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&#]*", re.IGNORECASE)

Port = Annotated[int, Field(ge=0, le=65535)]


def _split_url(value: str) -> SplitResult:
    try:
        url = urlsplit(value)
        if url.port != 0:
            return url
    except ValueError:
        pass  # said below, without the value, which may hold a password
    raise ValueError("expected a URL with a port between 1 and 65535")


def _broker_url(value: str) -> str:
    url = _split_url(value)
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname or url.path.strip("/"):
        raise ValueError("expected mqtt://user:password@host:1883, or mqtts:// for TLS")
    return value


def _database_url(value: str) -> str:
    url = _split_url(value)
    if url.scheme not in ("postgresql", "postgres"):
        raise ValueError("expected postgresql://user:password@host:5432/database")
    return value


class BrokerAddress:
    """Where the broker is and who we are there, taken from its URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.tls = parts.scheme == "mqtts"
        self.host = parts.hostname or "localhost"
        self.port = parts.port or (8883 if self.tls else 1883)
        self.username = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password else None


def hide_password(url: str) -> str:
    """Write a URL with its passwords replaced, for people and logs."""
    url = _PASSWORD_PARAMETER.sub(r"\1***", url)
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()


class _SecretFiles(PydanticBaseSettingsSource):
    """`ARCEAUX_X_FILE` gives the value of `ARCEAUX_X`; `variables` has the names in lower case."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the interface
        name = f"{PREFIX}{field_name.upper()}_FILE"
        path = self._variables.get(name.lower())
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise ConfigurationError(f"{name}: {path} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{name}: {path} cannot be read (it is not UTF-8 text)") from None

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(info, name)[0] for name, info in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """Every setting of the service; the description of each is what `arceaux config` and the documentation show."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    broker_url: Annotated[str, AfterValidator(_broker_url)] = Field(
        "mqtt://localhost:1883",
        repr=False,
        description="The MQTT 5 broker: mqtt://user:password@host:1883, mqtts:// for TLS.",
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "postgresql://localhost:5432/arceaux",
        repr=False,
        description="The database: postgresql://user:password@host:5432/name.",
    )
    registry: Path = Field(Path("deploy/registry.toml"), description="The registry, a TOML file.")
    topic_root: str = Field("city", description="The first level of every topic.")
    client_id: str = Field(
        "arceaux",
        min_length=1,
        max_length=64,
        description="MQTT client id and name of the worker's row; fixed, since the broker's session hangs on it.",
    )
    receive_maximum: int = Field(
        20_000, ge=1, le=_MOST_INFLIGHT, description="Messages the broker may have in flight to us, unacknowledged."
    )
    batch_max_readings: int = Field(10_000, ge=1, le=100_000, description="Most readings in one transaction.")
    batch_max_delay: Duration = Field(
        timedelta(milliseconds=50), description="Longest wait of a reading before its batch is closed."
    )
    max_lateness: Duration = Field(
        timedelta(days=8), description="How long before its arrival a reading's time may lie."
    )
    max_future: Duration = Field(
        timedelta(minutes=5), description="How long after its arrival a reading's time may lie."
    )
    max_payload_bytes: int = Field(
        256 * 1024, ge=64, le=8 * 1024 * 1024, description="Largest payload that is decoded."
    )
    publish_interval: Duration = Field(
        timedelta(milliseconds=200), description="Shortest time between two publications of one figure."
    )
    pseudonym_key_file: Path | None = Field(
        None,
        description="A file with the secret key of the dwellings' pseudonyms, at least 32 bytes; needed for dwellings.",
    )
    erased_file: Path | None = Field(
        None,
        description="A file apart from the database that lists the erased dwellings, for after a backup is restored.",
    )
    privacy_minimum_group: int = Field(
        11, ge=7, description="Least number of homes that a pooled figure of a district may rest on."
    )
    retention_parking: Duration = Field(
        timedelta(days=400), description="How long events, counts and the history of figures of parking are kept."
    )
    retention_dwelling_readings: Duration = Field(
        timedelta(days=30), description="How long single readings of dwellings are kept."
    )
    retention_dwelling_minutes: Duration = Field(
        timedelta(days=400),
        description="How long minutes of dwellings are kept; no shorter than the readings that they are made of.",
    )
    retention_dwelling_totals: Duration = Field(
        timedelta(days=1100),
        description="How long hours and days of dwellings are kept; no shorter than the minutes that they are made of.",
    )
    retention_dead_letters: Duration = Field(
        timedelta(days=30), description="How long dead letters are kept, from their first arrival."
    )
    ops_host: str = Field("127.0.0.1", description="Where /metrics, /healthz and /readyz are served.")
    ops_port: Port = Field(9108, description="The port of the same; 0 takes a free one.")
    log_format: Literal["console", "json"] = Field("console", description="Logs for people or for machines.")
    drain_timeout: Duration = Field(
        timedelta(seconds=20), description="Longest time after SIGTERM to commit and acknowledge what was received."
    )

    @field_validator("topic_root")
    @classmethod
    def _check_root(cls, value: str) -> str:
        if not all(LEVEL.fullmatch(level) for level in value.split("/")) or value.startswith("$"):
            raise ValueError("expected a topic without wildcards, without '/' at its ends and not beginning with '$'")
        return value

    @field_validator("client_id")
    @classmethod
    def _check_client_id(cls, value: str) -> str:
        if not LEVEL.fullmatch(value):
            raise ValueError("expected one level of a topic: no '/', '+', '#' or control character")
        return value

    @field_validator("pseudonym_key_file", "erased_file", mode="before")
    @classmethod
    def _take_empty_for_unset(cls, value: object) -> object:
        return value or None

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        faults = []
        if self.batch_max_delay > timedelta(seconds=10):
            faults.append(f"{PREFIX}BATCH_MAX_DELAY: expected at most 10s, or live figures lag behind")
        if self.retention_dead_letters < _DAY:
            faults.append(f"{PREFIX}RETENTION_DEAD_LETTERS: expected at least 1d")
        least = self.max_lateness + _DAY
        faults += [
            f"{PREFIX}{name.upper()}: expected at least {format_duration(least)}, one day more than "
            f"{PREFIX}MAX_LATENESS, or what is late is removed as soon as it is stored"
            for name in ("retention_parking", "retention_dwelling_readings")
            if getattr(self, name) < least
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the interface
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read, strongest first: arguments, environment, `NAME_FILE`, `.env`."""
        in_file = dotenv_settings.env_vars if isinstance(dotenv_settings, DotEnvSettingsSource) else {}
        in_environment = {name.lower(): value for name, value in os.environ.items()}
        files = _SecretFiles(settings_cls, {**in_file, **in_environment})
        return (init_settings, env_settings, files, dotenv_settings)

    @property
    def kept_minutes(self) -> timedelta:
        """How long minutes of homes are kept: no shorter than their readings, since what is late corrects both."""
        return max(self.retention_dwelling_minutes, self.retention_dwelling_readings)

    @property
    def kept_totals(self) -> timedelta:
        """How long hours and days of homes are kept: no shorter than their minutes."""
        return max(self.retention_dwelling_totals, self.kept_minutes)

    @property
    def broker(self) -> BrokerAddress:
        """The broker's address, taken apart."""
        return BrokerAddress(self.broker_url)

    def shown(self) -> dict[str, str]:
        """Give every setting under its environment name, as text, passwords hidden."""
        shown = {name: "" if value is None else str(value) for name, value in self.model_dump(mode="json").items()}
        for name in ("broker_url", "database_url"):
            shown[name] = hide_password(shown[name])
        return {f"{PREFIX}{name.upper()}": value for name, value in shown.items()}


def load_settings() -> Settings:
    """Read the settings in force.

    Raises ConfigurationError with one line a fault, named as the environment variable.
    """
    try:
        return Settings()
    except UnicodeDecodeError:
        raise ConfigurationError(".env: expected UTF-8 text") from None
    except ValidationError as error:
        lines = (_environment_name(line) for line in fault_lines(error))
        raise ConfigurationError("\n".join(lines)) from None


def _environment_name(line: str) -> str:
    name, colon, rest = line.partition(":")
    return f"{PREFIX}{name.upper()}{colon}{rest}" if name in Settings.model_fields else line


def unknown_settings() -> tuple[str, ...]:
    """Name the variables that look like settings but are none, perhaps misspelt."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | {TIMESCALEDB_ROOT}
    return tuple(sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known))
