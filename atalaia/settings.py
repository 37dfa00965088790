"""Settings: from ``ATALAIA_<PART>__<NAME>``, else ``atalaia.toml``, else the defaults here.

Read once, at an entry point, with `load`; everything below takes what it needs as arguments.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from atalaia.durations import parse_duration
from atalaia.errors import SettingsError


def _seconds(value: object) -> object:
    """A duration as a number; anything else, a bare number from the environment too, is left to pydantic."""
    if isinstance(value, str) and value[-1:].isalpha():
        return parse_duration(value)
    return value


Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
"""A number of seconds, or a duration such as ``5s``."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _redis_url(value: str) -> str:
    """The URL is not repeated where it is wrong, since it may hold a password."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme in ("redis", "rediss", "unix") and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("not a URL of Redis, expected redis://[[user]:password@]host[:port][/database]")
    return value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    whole = f"{parts.scheme}://{parts.netloc}"
    if value != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or value != whole):
        raise ValueError(
            f"{value[:100]!r} is no origin, expected https://host, with :port where it has one, or *"
        )
    return value


Origin = Annotated[str, AfterValidator(_origin)]
"""Where a page comes from: scheme, host and port; ``*`` is anywhere."""


class KafkaSettings(_Part):
    """Where Kafka is and how its topics are made; without ``bootstrap_servers`` ``atalaia up`` starts one."""

    bootstrap_servers: str | None = None
    port: Port = 9092
    controller_port: Port = 9093
    topic_prefix: str = "atalaia."
    replication_factor: int = Field(1, ge=1)
    client: dict[str, str] = Field({}, repr=False)
    """Further librdkafka properties (security, for example), given to every client."""


class RedisSettings(_Part):
    """Where Redis is; without ``url`` ``atalaia up`` starts one."""

    url: Annotated[str, AfterValidator(_redis_url)] | None = Field(None, repr=False)
    port: Port = 6379


class BundlesSettings(_Part):
    """Where deployed bundles are kept; without ``store`` they are served from where they lie."""

    store: Path | None = None


class GatewaySettings(_Part):
    """The HTTP side."""

    host: str = "127.0.0.1"
    port: Port = 8080
    grpc_port: Port = 0
    """Of the same protocol over gRPC; 0 leaves it off."""
    url: str | None = None
    """Where clients of the command line find the gateway."""
    processes: int = Field(1, ge=1)
    """How many ``atalaia up`` runs; beyond one they share the port."""
    process: int = Field(0, ge=0)
    """Which of them this is; a stable number each."""
    probe_port: Port = 0
    """A port of this process alone, on the loopback interface; 0 is none."""
    metrics_dir: Path | None = None
    """Where the processes of a machine put their metrics together; each shows the sums."""
    deadline: Seconds = 5.0
    max_in_flight: int = Field(2000, ge=1)
    max_body_bytes: int = Field(1_000_000, ge=1_000)
    max_rows: int = Field(5_000, ge=1)
    log_inputs: bool = False
    log_predictions: bool = False
    drain: Seconds = 10.0
    cors_origins: tuple[Origin, ...] = ()
    """Origins whose pages may read what the gateway answers."""


class AccessSettings(_Part):
    """Who may ask the gateway; without ``keys_file`` everyone of this machine, and nobody else."""

    keys_file: Path | None = None


class ScorerSettings(_Part):
    """The loop that scores."""

    processes: int = Field(1, ge=1)
    """How many ``atalaia up`` runs."""
    replica: int = Field(0, ge=0)
    """Makes the transactional id; a stable number per replica."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9101
    commit_interval: Seconds = 0.1
    commit_rows: int = Field(10_000, ge=1)
    collect_garbage: bool = False
    """True leaves Python's cyclic collector as it is, to measure what taming it gives."""


class MonitorServiceSettings(_Part):
    """A worker that keeps statistics of what is served."""

    worker: int = Field(0, ge=0)
    """Makes its name within the group of workers; a stable number each."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port
    step_interval: Seconds = 0.2
    """How long messages are gathered before what they change is stored."""
    stuck_after: Seconds = 30.0
    """With messages waiting and none taken for so long, the worker reports unhealthy and ends."""


class DriftServiceSettings(MonitorServiceSettings):
    """The workers that keep drift."""

    metrics_port: Port = 9110


class FairnessServiceSettings(MonitorServiceSettings):
    """The workers that join late truth and keep performance and fairness."""

    metrics_port: Port = 9120


class AlertsServiceSettings(MonitorServiceSettings):
    """The workers that watch latency and silence and hand alerts on."""

    metrics_port: Port = 9130
    webhook_url: str | None = None
    """Gets every alert event as JSON."""
    alertmanager_url: str | None = None
    """Base URL of an Alertmanager, told of alerts that fire and are resolved by its API v2."""
    log: bool = True
    """Every alert event is a JSON line on stdout."""
    sink_timeout: Seconds = 5.0
    """How long one attempt to hand an alert on may take."""
    sink_attempts: int = Field(8, ge=1)
    """After so many an alert that a sink does not take is a dead letter."""
    breaker_failures: int = Field(5, ge=1)
    """So many failures in a row, and a sink is left alone for ``breaker_pause``."""
    breaker_pause: Seconds = 30.0
    repeat_interval: Seconds = 60.0
    """How often an Alertmanager is told again of what fires."""


class Settings(BaseSettings):
    """All settings, by part."""

    model_config = SettingsConfigDict(
        env_prefix="ATALAIA_",
        env_nested_delimiter="__",
        toml_file="atalaia.toml",
        frozen=True,
        extra="forbid",
    )

    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    bundles: BundlesSettings = BundlesSettings()
    gateway: GatewaySettings = GatewaySettings()
    access: AccessSettings = AccessSettings()
    scorer: ScorerSettings = ScorerSettings()
    drift: DriftServiceSettings = DriftServiceSettings()
    fairness: FairnessServiceSettings = FairnessServiceSettings()
    alerts: AlertsServiceSettings = AlertsServiceSettings()
    data_dir: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before file; no dotenv, no secrets folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(**overrides: Any) -> Settings:
    """The settings of this process.

    Raises
    ------
    SettingsError
        naming each setting that is wrong, with its environment variable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = "; ".join(
            f"ATALAIA_{'__'.join(str(part).upper() for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SettingsError(f"settings are wrong: {wrong}") from error
    except ValueError as error:  # a file that is not TOML, a table in the environment that is not JSON
        raise SettingsError(f"settings are wrong: {': '.join(_reasons(error))}") from error


def _reasons(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield str(error)
        error = error.__cause__
