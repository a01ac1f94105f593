"""Fair share."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

LINE = ["status", "priority", "number", "project_id", "device", "claimable_at", "sweep_id"]


def upgrade() -> None:
    op.add_column("projects", sa.Column("claimed_at", sa.BigInteger(), nullable=True))
    op.drop_index("ix_jobs_status_priority_number", table_name="jobs")
    op.create_index("ix_jobs_line", "jobs", LINE, unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_line", table_name="jobs")
    op.create_index("ix_jobs_status_priority_number", "jobs", ["status", "priority", "number"], unique=False)
    # Not as a batch: to copy the table SQLite would drop it, and other tables refer to its rows.
    op.drop_column("projects", "claimed_at")
