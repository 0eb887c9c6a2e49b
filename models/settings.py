"""Every setting, read once from `OVERREAD_*` variables at a process's front door."""

from functools import cached_property
from pathlib import Path

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Derived values are computed here, so that each number is set in one place."""

    model_config = SettingsConfigDict(env_prefix="OVERREAD_", frozen=True, extra="forbid")

    data: Path = Path("overread-data")
    database_url: str = ""  # default: SQLite in the data folder
    broker_url: str = ""  # default: the embedded broker that `overread up` starts
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    chunk_size: PositiveInt = 32  # images a worker claims at once
    chunk_time_limit_s: PositiveInt = 120  # hard limit of one chunk; the lease follows it
    train_time_limit_s: PositiveInt = 6 * 3600
    sweep_interval_s: PositiveInt = 10
    max_attempts: PositiveInt = 3
    decode_processes: PositiveInt = 2
    decode_timeout_s: PositiveInt = 20  # for one file
    max_file_bytes: PositiveInt = 512 * 2**20
    max_archive_bytes: PositiveInt = 20 * 2**30  # unpacked, whole archive
    max_archive_files: PositiveInt = 200_000

    @cached_property
    def data_dir(self) -> Path:
        return self.data.absolute()

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'overread.sqlite3'}"

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
