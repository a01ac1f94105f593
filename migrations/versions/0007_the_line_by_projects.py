"""The line is counted by projects, in the order of its index."""

from alembic import op

revision = "0007"
down_revision = "0006"

BEFORE = ["status", "priority", "number", "project_id", "device", "claimable_at", "sweep_id"]
LINE = ["status", "priority", "project_id", "number", "device", "claimable_at", "sweep_id"]


def upgrade() -> None:
    op.drop_index("ix_jobs_line", table_name="jobs")
    op.create_index("ix_jobs_line", "jobs", LINE, unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_line", table_name="jobs")
    op.create_index("ix_jobs_line", "jobs", BEFORE, unique=False)
