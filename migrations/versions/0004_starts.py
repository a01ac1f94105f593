"""Where jobs start."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("start_checkpoint", sa.String(length=64), nullable=True))
    op.add_column("jobs", sa.Column("start_epoch", sa.Integer(), nullable=True))
    op.create_table(
        "starts",
        sa.Column("job_number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name=op.f("fk_starts_job_number"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_number", name=op.f("pk_starts")),
    )


def downgrade() -> None:
    op.drop_table("starts")
    # Not as a batch: to copy the table SQLite would drop it, and other tables refer to its rows.
    op.drop_column("jobs", "start_epoch")
    op.drop_column("jobs", "start_checkpoint")
