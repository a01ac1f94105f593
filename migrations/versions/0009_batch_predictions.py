"""Batch predictions and their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATUSES = "status IN ('queued', 'running', 'pausing', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled')"


def upgrade() -> None:
    op.create_table(
        "batch_predictions",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("checkpoint_id", sa.String(length=64), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("dataset_id", sa.String(length=64), nullable=False),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("part_rows", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("claimable_at", sa.BigInteger(), nullable=False),
        sa.Column("refused_at", sa.BigInteger(), nullable=True),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("predicted", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("warnings_kept", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(STATUSES, name=op.f("ck_batch_predictions_status")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_batch_predictions_project_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_batch_predictions")),
        sa.UniqueConstraint("id", name=op.f("uq_batch_predictions_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_batch_predictions_project_id_id", "batch_predictions", ["project_id", "id"], unique=False)
    op.create_index("ix_batch_predictions_line", "batch_predictions", ["status", "project_id", "number"], unique=False)
    op.create_index("ix_batch_predictions_dataset_id", "batch_predictions", ["dataset_id"], unique=False)
    op.create_table(
        "batch_parts",
        sa.Column("batch_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("content_bytes", sa.BigInteger(), nullable=False),
        sa.Column("outline_bytes", sa.BigInteger(), nullable=False),
        sa.Column("outline_sha256", sa.String(length=64), nullable=False),
        sa.Column("warning_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_number"],
            ["batch_predictions.number"],
            name=op.f("fk_batch_parts_batch_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_number", "number", name=op.f("pk_batch_parts")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("batch_parts")
    op.drop_index("ix_batch_predictions_dataset_id", table_name="batch_predictions")
    op.drop_index("ix_batch_predictions_line", table_name="batch_predictions")
    op.drop_index("ix_batch_predictions_project_id_id", table_name="batch_predictions")
    op.drop_table("batch_predictions")
