"""The tables of the final product: projects, attempts, packs and recovery points have their columns from the start."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from app.domain import metrics as domain_metrics
from app.domain.job import Status
from app.persistence.database import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A number the database gives out: SQLite only counts in a column declared INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")
Id = String(64)
_STATUS = "status IN ({})".format(", ".join(f"'{status}'" for status in Status))


def _project() -> Column[str]:
    return Column("project_id", Id, ForeignKey("projects.id"), nullable=False)


projects = Table(
    "projects",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    # When a job of it was claimed last: of projects that train alike the one that waited longest is next.
    Column("claimed_at", Instant),
    Column("created_at", Instant, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("name", String(200)),
    Column("sha256", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    # To the minute.
    Column("last_used_at", Instant),
    # A revoked key stays: once a key was made the service never again answers without one.
    Column("revoked_at", Instant),
    Index("ix_keys_project_id_id", "project_id", "id"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("name", String(200)),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("columns", JSON, nullable=False),
    Column("statistics", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_datasets_project_id_id", "project_id", "id"),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("name", String(200)),
    Column("spec", JSON, nullable=False),
    Column("search", JSON, nullable=False),
    Column("method", String(16), nullable=False),
    Column("trials", Integer, nullable=False),
    Column("parallel", Integer),
    Column("metric", String(64), nullable=False),
    Column("mode", String(3), nullable=False),
    # When a trial may be ended early; nothing reads it yet.
    Column("stop", JSON),
    Column("seed", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    # When its cancel was first asked for while a trial was live.
    Column("cancelled_at", Instant),
    Index("ix_sweeps_project_id_id", "project_id", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    _project(),
    Column("name", String(200)),
    Column("status", String(16), nullable=False),
    Column("stop_reason", String(32)),
    Column("spec", JSON, nullable=False),
    Column("resolved_spec", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    # No foreign key: deleting a dataset later does not touch its jobs.
    Column("dataset_id", Id, nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("validation_dataset_id", Id),
    Column("validation_dataset_sha256", String(64)),
    Column("test_dataset_id", Id),
    Column("test_dataset_sha256", String(64)),
    # Of a trial: its sweep, what was set in the sweep's spec, and the sweep's metric at the best epoch so far, if finite.
    Column("sweep_id", Id, ForeignKey("sweeps.id")),
    Column("parameters", JSON),
    Column("value", Double),
    # Of a job that starts from a checkpoint: which, and the epoch it goes on from, 0 where it takes only what was learned.
    # No foreign key: the job has a copy, so that the checkpoint may go.
    Column("start_checkpoint", Id),
    Column("start_epoch", Integer),
    Column("device", String(8), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    # The stack: which jobs may train together, and the size and place a job keeps for its whole life.
    Column("pack_key", String(64)),
    Column("pack_limit", Integer),
    Column("stack_leader", BigInteger),
    Column("stack_size", Integer),
    Column("stack_position", Integer),
    # The lease and its fence.
    Column("attempt", Integer, nullable=False),
    Column("lease_owner", String(200)),
    Column("lease_expires_at", Instant),
    Column("crashes", Integer, nullable=False),
    Column("pack_crashes", Integer, nullable=False),
    Column("claimable_at", Instant, nullable=False),
    # What is known of the training so far.
    Column("epoch", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("latest", JSON),
    Column("best", JSON),
    Column("test", JSON),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("reproducibility", JSON),
    # Of the request that created it: what is logged of the job names it.
    Column("request_id", String(128)),
    # Grows with every change, so that a watcher sees one.
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    CheckConstraint(_STATUS, name="status"),
    Index("ix_jobs_project_id_id", "project_id", "id"),
    # All that the claim asks of those that wait, so that it reads no row but the one it takes.
    Index("ix_jobs_line", "status", "priority", "project_id", "number", "device", "claimable_at", "sweep_id"),
    Index("ix_jobs_dataset_id", "dataset_id"),
    Index("ix_jobs_stack_leader", "stack_leader"),
    Index("ix_jobs_sweep_id_status", "sweep_id", "status"),
    sqlite_autoincrement=True,
)

# One row an epoch. NULL is "not there"; which of NaN, +inf, -inf a value was stands in `nonfinite`, two bits a column.
epochs = Table(
    "epochs",
    metadata,
    Column("job_number", Number, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("train_loss", Double),
    Column("val_loss", Double),
    Column("learning_rate", Double),
    Column("seconds", Double, nullable=False),
    *(Column(f"val_{name}", Double) for name in domain_metrics.ALL),
    Column("nonfinite", Integer, nullable=False),
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("job_number", Number, ForeignKey("jobs.number", ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("is_best", Boolean, nullable=False),
    Column("is_last", Boolean, nullable=False),
    Column("is_periodic", Boolean, nullable=False),
    Column("losses", JSON, nullable=False),
    Column("files", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("job_number", "epoch"),
    Index("ix_checkpoints_project_id_id", "project_id", "id"),
)

# What a job that starts from a checkpoint reads its rows with, in place of fitting; its parameters are a recovery point.
starts = Table(
    "starts",
    metadata,
    Column("job_number", Number, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("columns", JSON, nullable=False),
    Column("target", JSON, nullable=False),
)

# Where a job continues after a crash; internal, the newest two are kept, and that of attempt 0, with which a job starts.
recovery_points = Table(
    "recovery_points",
    metadata,
    Column("id", Id, primary_key=True),
    Column("job_number", Number, ForeignKey("jobs.number", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("batch", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_recovery_points_job_number_epoch", "job_number", "epoch"),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("job_number", Number, ForeignKey("jobs.number", ondelete="CASCADE"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("type", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("job_number", "sequence"),
)

# A registered name; `last_version` is the last number that was given out, so that none is given again.
models = Table(
    "models",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("name", String(64), nullable=False),
    Column("description", Text),
    Column("metadata", JSON, nullable=False),
    Column("last_version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("project_id", "name"),
    Index("ix_models_project_id_id", "project_id", "id"),
)

# No cascade from the checkpoint: while a version has it, neither it nor its job can be removed.
model_versions = Table(
    "model_versions",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("model_id", Id, ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("checkpoint_id", Id, ForeignKey("checkpoints.id"), nullable=False),
    Column("description", Text),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("model_id", "number"),
    Index("ix_model_versions_model_id_id", "model_id", "id"),
    Index("ix_model_versions_checkpoint_id", "checkpoint_id"),
)

model_aliases = Table(
    "model_aliases",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("model_id", Id, ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("moved_at", Instant, nullable=False),
    UniqueConstraint("model_id", "name"),
    ForeignKeyConstraint(["model_id", "version"], ["model_versions.model_id", "model_versions.number"]),
)

# Who moved which alias from where to where; stays when the alias is deleted, which is a move to nowhere.
alias_moves = Table(
    "alias_moves",
    metadata,
    Column("id", Id, primary_key=True),
    _project(),
    Column("model_id", Id, ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
    Column("alias", String(64), nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer),
    # Of the caller; none is the operator. Keys are never removed.
    Column("key_id", Id),
    Column("created_at", Instant, nullable=False),
    Index("ix_alias_moves_model_id_alias_id", "model_id", "alias", "id"),
)

# Predictions of a dataset's rows; what holds work, from `status` to `crashes`, is as of a job.
batch_predictions = Table(
    "batch_predictions",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    _project(),
    Column("name", String(200)),
    Column("status", String(16), nullable=False),
    # No foreign keys: what it predicts with is copied, and a dataset that is deleted later does not touch it.
    Column("job_id", Id, nullable=False),
    Column("model", String(64)),
    Column("version", Integer),
    Column("checkpoint_id", Id, nullable=False),
    # Of the copy.
    Column("files", JSON, nullable=False),
    Column("dataset_id", Id, nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("format", String(16), nullable=False),
    Column("rows", BigInteger, nullable=False),
    # Rows of a part, but for the last one.
    Column("part_rows", Integer, nullable=False),
    # The lease and its fence.
    Column("attempt", Integer, nullable=False),
    Column("lease_owner", String(200)),
    Column("lease_expires_at", Instant),
    Column("crashes", Integer, nullable=False),
    Column("claimable_at", Instant, nullable=False),
    # Since when the storage has refused what it writes or reads.
    Column("refused_at", Instant),
    # What is known so far: parts that are durable, and what was counted in them.
    Column("parts", Integer, nullable=False),
    Column("predicted", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("warnings_kept", Integer, nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("request_id", String(128)),
    Column("revision", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    CheckConstraint(_STATUS, name="status"),
    Index("ix_batch_predictions_project_id_id", "project_id", "id"),
    Index("ix_batch_predictions_line", "status", "project_id", "number"),
    Index("ix_batch_predictions_dataset_id", "dataset_id"),
    sqlite_autoincrement=True,
)

# A file for each part: so many bytes of the content, then of the outline of its row group, then warnings of its rows.
batch_parts = Table(
    "batch_parts",
    metadata,
    Column(
        "batch_number",
        Number,
        ForeignKey("batch_predictions.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("rows", Integer, nullable=False),
    Column("content_bytes", BigInteger, nullable=False),
    Column("outline_bytes", BigInteger, nullable=False),
    Column("outline_sha256", String(64), nullable=False),
    Column("warning_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    sqlite_with_rowid=False,
)

# One row for each training process that is warm.
workers = Table(
    "workers",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("device", String(8), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("torch", String(64), nullable=False),
    Column("custom_losses", JSON, nullable=False),
    # Bytes that a job may use: of the device on a GPU, else of the process.
    Column("memory", BigInteger),
    # On a GPU also those of the process; else, and where a worker of before has not said so, none.
    Column("host_memory", BigInteger),
    # What it works on: a job, or a batch prediction.
    Column("job_id", Id),
    Column("started_at", Instant, nullable=False),
    Column("heartbeat_at", Instant, nullable=False),
    # Since when nothing has been heard of it; such a process counts for nothing but the eyes of an operator.
    Column("silent_at", Instant),
)

# Increments of counters that only grow, see counts.py.
counts = Table(
    "counts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("name", String(32), nullable=False),
    Column("label", String(32), nullable=False),
    Column("value", BigInteger, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("body", LargeBinary),
    Column("headers", JSON),
    Column("created_at", Instant, nullable=False),
)
