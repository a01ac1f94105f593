"""What a job may use of the host's memory beside a GPU."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("workers", sa.Column("host_memory", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "host_memory")
