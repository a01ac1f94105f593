"""Every setting, read from the environment with the prefix TRAINYARD_; only wiring, main and cli read it."""

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]
# A URL may hold a password, so it stands in no representation.
Secret = Annotated[str, Field(repr=False)]


class Settings(BaseSettings):
    """Frozen; unset URLs mean the embedded default inside `data`."""

    model_config = SettingsConfigDict(env_prefix="TRAINYARD_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data: Path = Path("data")
    """Folder of everything the embedded service keeps."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    database_url: Secret = ""
    """`sqlite:///…` or `postgresql+psycopg://…`; default: SQLite in the data folder."""
    redis_url: Secret = ""
    """Unset: the service starts its own Valkey on a Unix socket in the data folder."""
    storage_url: str = ""
    """A folder or `s3://bucket/prefix`; default: `files` in the data folder."""
    api_key: SecretStr | None = None
    """The operator's key; without any key the service binds to loopback only."""
    api_workers: Annotated[int, Field(ge=1)] = 1
    slots: Annotated[int, Field(ge=0)] = 0
    """Training processes of a worker; 0: one per GPU, else one per two cores, at least one."""
    threads: Annotated[int, Field(ge=1)] = 1
    """torch threads of a training process; another number gives other bits."""
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    """What a job may use of a training process's memory; 0: a slot's share of 0.7 of the machine's."""
    expect_worker: bool = False
    """`/readyz` waits for a warm training process; `up` sets it."""

    lease_seconds: Seconds = 30
    heartbeat_seconds: Seconds = 5
    stall_seconds: Seconds = 60
    """A running job that shows no progress for this long loses its lease."""
    housekeeping_seconds: Seconds = 2
    checkpoint_seconds: Seconds = 30
    """At most this much training is lost in a crash."""
    report_seconds: Seconds = 0.25
    max_crashes: Annotated[int, Field(ge=1)] = 3
    """Crashes in a row without a new checkpointed epoch that end a job."""
    idle_seconds: Seconds = 10
    """How often a training process without a job looks for one, should the broker be away."""
    storage_retry_seconds: Seconds = 30
    """How long a job waits that could not write its end, or read its dataset, before it is tried again."""
    storage_patience_seconds: Seconds = 86400
    """How long it is tried."""
    janitor_seconds: Seconds = 3600
    """How often the janitor goes through the storage."""
    unreferenced_seconds: Seconds = 3600
    """How old stored bytes must be that nothing refers to before they are removed."""
    watch_seconds: Seconds = 0.05

    rate_limit: Annotated[int, Field(ge=0)] = 60_000
    """Requests of a project in a minute, whichever API process they reach; 0: no limit. The operator's are not counted."""

    project_queued_jobs: Annotated[int, Field(ge=0)] = 50_000
    """Jobs of a project that may wait; 0, here and below: no limit."""
    project_running_jobs: Annotated[int, Field(ge=0)] = 0
    """Jobs of a project that may be trained at once; of the workers' environment, too."""
    project_rows: Annotated[int, Field(ge=0)] = 10_000_000_000
    """Of all a project's datasets."""
    project_stored_bytes: Annotated[int, Field(ge=0)] = 2**40
    """Of all a project's datasets, as they are stored."""

    max_upload_bytes: Annotated[int, Field(ge=1)] = 256 * 2**20
    max_inflated_bytes: Annotated[int, Field(ge=1)] = 2**30
    max_cells: Annotated[int, Field(ge=1)] = 50_000_000
    max_columns: Annotated[int, Field(ge=1)] = 10_000
    max_cell_bytes: Annotated[int, Field(ge=1)] = 64 * 2**10
    max_body_bytes: Annotated[int, Field(ge=1)] = 32 * 2**20
    """Of a JSON request other than an upload."""
    max_parameters: Annotated[int, Field(ge=1)] = 50_000_000
    max_layers: Annotated[int, Field(ge=1, le=1000)] = 64
    """Hidden ones."""
    max_epochs: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000_000
    max_row_epochs: Annotated[int, Field(ge=1)] = 10**12
    """Training rows times epochs of a job."""
    max_trials: Annotated[int, Field(ge=1, le=30_000)] = 10_000
    """Of a sweep; they are created in one transaction."""
    max_predict_rows: Annotated[int, Field(ge=1)] = 10_000
    max_evaluate_rows: Annotated[int, Field(ge=1)] = 5_000_000
    """Of the dataset of one evaluation."""
    evaluate_seconds: Seconds = 50
    """How long one evaluation may take, its wait for a turn included."""
    batch_part_rows: Annotated[int, Field(ge=1)] = 65_536
    """Rows of a batch prediction that are predicted and stored together at most: what a crash loses, and what is in memory."""
    predict_seconds: Seconds = 60
    """Of one prediction."""
    session_cache_bytes: Annotated[int, Field(ge=1)] = 512 * 2**20
    history_cache_bytes: Annotated[int, Field(ge=1)] = 64 * 2**20
    """Of what an API process remembers of histories: blocks of long ones, and what was answered of jobs that are over."""
    metrics_open: bool = False
    """`/metrics` needs no key."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto`: console on a terminal, else JSON."""

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return self.data.expanduser().resolve()

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.folder / 'trainyard.db'}"

    @property
    def resolved_storage_url(self) -> str:
        """Where bytes are kept, the embedded default filled in."""
        return self.storage_url or str(self.folder / "files")

    @property
    def socket(self) -> Path:
        """The embedded Valkey's socket. A socket path over 100 bytes fails, so a deep data folder gets a short one in /tmp."""
        path = self.folder / "valkey.sock"
        return path if len(str(path)) < 100 else short_socket(path)

    @property
    def resolved_redis_url(self) -> str:
        """The broker's URL, the embedded default filled in."""
        return self.redis_url or f"redis+socket://{self.socket}"


def short_socket(path: Path) -> Path:
    """A short socket path that only depends on the long one."""
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"trainyard-{name}.sock"
