"""Every setting, read once from `OVERREAD_*` variables at a process's front door."""

import os
from functools import cached_property
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "OVERREAD_"


class SettingsError(ValueError):
    """One line that names the variable; never a URL, which may hold a password."""


class Settings(BaseSettings):
    """Derived values are computed here, so that each number is set in one place."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    data: Path = Path("overread-data")
    database_url: str = ""  # default: SQLite in the data folder
    broker_url: str = ""  # default: the embedded broker that `overread up` starts
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    # Which of a version's thresholds decides: `pipeline.types.OperatingPoint`, which costs numpy.
    operating_point: Literal["balanced", "sensitive"] = "balanced"

    chunk_size: PositiveInt = 32  # images a worker claims at once
    chunk_time_limit_s: PositiveInt = 120  # hard limit of one chunk; the lease follows it
    train_time_limit_s: PositiveInt = 6 * 3600  # one night, from its labels to its decision
    sweep_interval_s: PositiveInt = 10
    max_attempts: PositiveInt = 3
    decode_processes: PositiveInt = 2
    decode_timeout_s: PositiveInt = 20  # for one file
    max_file_bytes: PositiveInt = 512 * 2**20
    max_archive_bytes: PositiveInt = 20 * 2**30  # unpacked, whole archive
    max_archive_files: PositiveInt = 200_000
    disk_reserve_bytes: NonNegativeInt = 2 * 2**30  # with less free, uploads are refused for now

    # Reverse proxies in front of the portal: whose X-Forwarded-For and -Proto are to be believed.
    proxies: NonNegativeInt = 0
    session_hours: PositiveInt = 12  # how long a login lasts
    lockout_failures: PositiveInt = 5  # wrong passwords for one name, then it is locked
    lockout_s: PositiveInt = 15 * 60
    log_format: Literal["text", "json"] = "text"

    # The nightly job: when it runs, and what it needs to begin.
    night_at: str = Field(default="02:00", pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")  # "": never
    time_zone: str = ""  # of night_at, e.g. Europe/Berlin; default: this machine's
    night_min_labels: PositiveInt = 20  # fewer new ones, and nothing is trained
    night_policy: Literal["propose", "automatic"] = "propose"  # what a "yes" of the gate leads to
    drift_days: PositiveInt = 7  # compared with what came before
    # How a candidate is trained.
    train_start: Literal["production", "imagenet"] = "production"
    train_weights: Path | None = None  # a Keras file with ImageNet weights; default: downloaded
    train_head_only_below: NonNegativeInt = 200  # so many labelled site images: upper blocks, too
    train_base_share: float = Field(default=0.5, ge=0.0, lt=1.0)  # imported images among learned
    train_cores: NonNegativeInt = 0  # 0: half of what there is, at least one
    train_memory_mb: PositiveInt = 4096
    # What the gate asks of a candidate.
    gate_auroc_margin: float = Field(default=0.02, gt=0.0, lt=1.0)
    gate_sensitivity_margin: float = Field(default=0.05, gt=0.0, lt=1.0)
    gate_min_patients: PositiveInt = 30  # of each finding, in every test set

    @classmethod
    def read(cls) -> Self:
        """From the environment, strictly; SettingsError says which variable is wrong."""
        unknown = sorted(
            name
            for name in os.environ
            if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in cls.model_fields
        )
        if unknown:
            raise SettingsError(f"{unknown[0]}: there is no such setting")
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            raise SettingsError(f"{name}: {first['msg']}") from None

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: str) -> str:
        if url and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("expected a URL beginning with sqlite:/// or postgresql+psycopg://")
        return url

    @field_validator("broker_url")
    @classmethod
    def _check_broker_url(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://", "redis+socket://")):
            raise ValueError("expected a URL beginning with redis://, rediss:// or redis+socket://")
        return url

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key if name else ""
        except (ValueError, OSError, ZoneInfoNotFoundError):
            message = "expected the name of a time zone, such as Europe/Berlin"
            raise ValueError(message) from None

    @cached_property
    def data_dir(self) -> Path:
        return self.data.absolute()

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'overread.sqlite3'}"

    @property
    def is_sqlite(self) -> bool:
        return self.database.startswith("sqlite:")

    @property
    def files_dir(self) -> Path:
        return self.data_dir / "files"

    @property
    def lease_s(self) -> int:
        return self.chunk_time_limit_s

    @property
    def soft_chunk_time_limit_s(self) -> float:
        return 0.9 * self.chunk_time_limit_s

    @property
    def visibility_timeout_s(self) -> int:
        """Longer than the longest task, or the broker hands a running task out again."""
        return int(1.1 * max(self.chunk_time_limit_s, self.train_time_limit_s))
