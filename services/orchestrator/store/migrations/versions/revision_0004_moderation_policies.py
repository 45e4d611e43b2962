"""Moderation policies, one row a version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    # Ids compare by bytes everywhere, whatever the database's locale is.
    text = sa.Text(collation="C") if op.get_context().dialect.name == "postgresql" else sa.Text()
    op.create_table(
        "moderation_policies",
        sa.Column("tenant", text, primary_key=True),
        sa.Column("name", text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        # A serialised ModerationPolicy message.
        sa.Column("policy", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
