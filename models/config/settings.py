"""Every setting, read once from `OVERREAD_*` variables when a process starts.

Errors name the variable and never show its value: a URL may hold a password.
"""

import os
import re
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SQLITE, POSTGRES = "sqlite:///", "postgresql+psycopg://"
REDIS, REDIS_SOCKET = ("redis://", "rediss://"), "redis+socket://"
SOCKET_PATH_BYTES = 107  # the kernel's limit
MADE_FILE = ".files-made"  # in the data folder: `models.files.presence`
NO_PORT = (
    "expected a port from 1 to 65535 after the host; "
    "are signs such as / and @ in its password written %2F, %40?"
)


def check_database_url(url: str) -> None:
    if url.startswith(SQLITE):
        if url.removeprefix(SQLITE).partition("?")[0] in ("", ":memory:"):
            raise ValueError(f"expected a file's path after {SQLITE}")
    elif url.startswith(POSTGRES):
        # SQLAlchemy accepts passwords with a slash, so only what follows "@" is checked.
        _check_port("//" + url.removeprefix(POSTGRES).rpartition("@")[2])
    else:
        raise ValueError(f"expected a URL beginning with {SQLITE} or {POSTGRES}")


def check_broker_url(url: str) -> None:
    if url.startswith(REDIS):
        _check_port(url)
        if not re.fullmatch("/?[0-9]*", urlsplit(url).path):
            raise ValueError("expected the number of a database after the host, such as /0")
    elif not url.startswith(REDIS_SOCKET):
        raise ValueError("expected a URL beginning with redis://, rediss:// or redis+socket://")
    elif len(os.fsencode(unquote(urlsplit(url).path))) > SOCKET_PATH_BYTES:
        raise ValueError(f"expected a socket's path of at most {SOCKET_PATH_BYTES} bytes")


def _check_port(url: str) -> None:
    try:
        is_port = urlsplit(url).port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ValueError(NO_PORT)


PREFIX = "OVERREAD_"

# Limits beyond which a database, a clock or a machine would fail.
Few = Annotated[int, Field(ge=1, le=10_000)]
Many = Annotated[int, Field(ge=1, le=10**9)]
Seconds = Annotated[int, Field(ge=1, le=366 * 24 * 3600)]
Bytes = Annotated[int, Field(ge=1, le=2**60)]


class SettingsError(ValueError):
    """One line that names the variable, never its value."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    data: Path = Path("overread-data")
    database_url: str = ""  # default: SQLite in the data folder
    broker_url: str = ""  # default: the embedded broker that `overread up` starts
    host: str = Field(
        default="127.0.0.1",
        pattern=r"^[\w.:%-]+$",
        description="a name or address of this machine, such as 127.0.0.1",
    )
    port: int = Field(default=8000, ge=0, le=65535)
    # Which threshold of a version applies: `pipeline.types.OperatingPoint`, without its imports.
    operating_point: Literal["balanced", "sensitive"] = "balanced"
    # Of pneumonia among the patients, which probabilities are moved to beside the version's own.
    prevalence: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="a share above 0 and below 1, such as 0.1"
    )

    chunk_size: Few = 128  # images that a worker claims at once, at most
    # Whether ingest predicts what it has read; else only predict workers do.
    one_step: bool = True
    chunk_time_limit_s: Seconds = 120  # hard limit of one chunk; the lease follows it
    train_time_limit_s: Seconds = 6 * 3600  # one night, from its labels to its decision
    sweep_interval_s: Seconds = 10
    max_attempts: Few = 3
    decode_processes: Few = 2
    decode_timeout_s: Seconds = 20  # for one file
    render_processes: Few = 2  # decoders that draw pictures for the portal
    picture_cache_bytes: Bytes = 2 * 2**30  # drawn pictures kept on disk
    max_file_bytes: Bytes = 512 * 2**20
    max_archive_bytes: Bytes = 20 * 2**30  # unpacked, whole archive
    max_archive_files: Many = 200_000
    # With less free space uploads are refused.
    disk_reserve_bytes: int = Field(default=2 * 2**30, ge=0, le=2**60)

    verify_days: Few = 30  # within which all stored files are compared with their hashes
    verify_backups: Path | None = None  # a folder of backups that is verified, too

    # Reverse proxies before the portal whose X-Forwarded-For, -Proto and -Prefix are trusted.
    proxies: int = Field(default=0, ge=0, le=100)
    session_hours: Few = 12  # how long a login lasts
    session_idle_minutes: Few = 120  # how long it lasts without activity
    # Of whom a code of an authenticator is demanded beside the password.
    second_factor: Literal["optional", "admins", "all"] = "optional"
    lockout_failures: Few = 5  # wrong passwords until a name is locked
    lockout_s: Seconds = 15 * 60
    log_format: Literal["text", "json"] = "text"

    # The nightly job: when it runs, and what it needs to start.
    night_at: str = Field(
        default="02:00",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
        description="a time of day such as 02:00, or nothing for never",
    )
    time_zone: str = ""  # of night_at, e.g. Europe/Berlin; default: this machine's
    night_min_labels: Many = 20  # with fewer new ones nothing is trained
    night_policy: Literal["propose", "automatic"] = "propose"  # what the gate's approval leads to
    drift_days: Few = 7  # compared with the time before
    # How a candidate is trained.
    train_start: Literal["production", "imagenet"] = "production"
    train_weights: Path | None = None  # a Keras file with ImageNet weights; default: downloaded
    # From this many labelled site images on, the upper blocks are fine-tuned too.
    train_head_only_below: int = Field(default=200, ge=0, le=10**9)
    # Imported images among training images.
    train_base_share: float = Field(default=0.5, ge=0.0, lt=1.0)
    # 0: half of all cores, at least one.
    train_cores: int = Field(default=0, ge=0, le=10_000)
    train_memory_mb: Many = 4096
    # What the promotion gate requires of a candidate.
    gate_auroc_margin: float = Field(default=0.02, gt=0.0, lt=1.0)
    gate_sensitivity_margin: float = Field(default=0.05, gt=0.0, lt=1.0)
    gate_min_patients: Many = 30  # of each finding, in every test set

    @classmethod
    def read(cls) -> Self:
        """From the environment, strictly. SettingsError names the variable that is wrong."""
        for name in sorted(os.environ):
            if name.upper().startswith(PREFIX) and _field(name) not in cls.model_fields:
                raise SettingsError(_unknown(cls, name))
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError(_first_problem(cls, error)) from None

    @field_validator("host", mode="before")
    @classmethod
    def _without_brackets(cls, host: Any) -> Any:
        """An IPv6 address may be written as in a URL."""
        is_bracketed = isinstance(host, str) and host.startswith("[") and host.endswith("]")
        return host[1:-1] if is_bracketed else host

    @field_validator("data", "train_weights", "verify_backups", mode="before")
    @classmethod
    def _check_path(cls, path: Any) -> Any:
        if path == "":
            raise ValueError("expected a path; it is empty")
        if str(path).startswith("~"):
            raise ValueError("expected a path without ~, which is the shell's")
        return path

    @field_validator("database_url", "broker_url")
    @classmethod
    def _check_server_url(cls, url: str, info: ValidationInfo) -> str:
        if url:
            check = check_broker_url if info.field_name == "broker_url" else check_database_url
            check(url)
        return url

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key if name else ""
        except (ValueError, OSError, ZoneInfoNotFoundError):
            message = "expected the name of a time zone, such as Europe/Berlin"
            raise ValueError(message) from None

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.decode_timeout_s > self.chunk_time_limit_s:
            raise ValueError(
                f"{PREFIX}DECODE_TIMEOUT_S: expected at most {PREFIX}CHUNK_TIME_LIMIT_S, "
                f"which is {self.chunk_time_limit_s}: a file would outlast its chunk"
            )
        return self

    @cached_property
    def data_dir(self) -> Path:
        return self.data.absolute()

    @property
    def is_sqlite(self) -> bool:
        return not self.database_url or self.database_url.startswith(SQLITE)

    @property
    def files_dir(self) -> Path:
        return self.data_dir / "files"

    @property
    def cache_dir(self) -> Path | None:
        """May be deleted at any time. None without a data folder: nothing is written elsewhere."""
        return self.data_dir / "cache" if self.data_dir.is_dir() else None

    @property
    def lease_s(self) -> int:
        return self.chunk_time_limit_s

    @property
    def soft_train_time_limit_s(self) -> float:
        return 0.9 * self.train_time_limit_s

    @property
    def soft_chunk_time_limit_s(self) -> float:
        return 0.9 * self.chunk_time_limit_s

    @property
    def visibility_timeout_s(self) -> int:
        """Longer than the longest task, or the broker would deliver a running task again."""
        return int(1.1 * max(self.chunk_time_limit_s, self.train_time_limit_s))


def _field(variable: str) -> str:
    return variable[len(PREFIX) :].lower()


def _unknown(settings: type[Settings], variable: str) -> str:
    close = get_close_matches(_field(variable), settings.model_fields, n=1)
    hint = f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""
    return f"{variable}: unknown setting{hint}"


def _first_problem(settings: type[Settings], error: ValidationError) -> str:
    first = error.errors()[0]
    message = str(first.get("ctx", {}).get("error", first["msg"]))
    if not first["loc"]:  # of a check of several settings, which names them itself
        return message
    name = str(first["loc"][0])
    description = settings.model_fields[name].description
    expected = f"expected {description}" if description else message
    return f"{PREFIX}{name.upper()}: {expected}"
