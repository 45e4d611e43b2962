"""What users wish for, one row a user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    # Ids compare by bytes everywhere, whatever the database's locale is.
    text = sa.Text(collation="C") if op.get_context().dialect.name == "postgresql" else sa.Text()
    op.create_table(
        "user_settings",
        sa.Column("tenant", text, primary_key=True),
        sa.Column("user_id", text, primary_key=True),
        # A serialised UserSettings message.
        sa.Column("settings", sa.LargeBinary, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
