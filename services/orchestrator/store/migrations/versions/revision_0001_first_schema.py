"""First schema: catalogue, pictures that wait, events, statistics, bundle pointers, counters.

Every table is scoped by tenant, the first column of its primary key.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    # One row a tenant: numbers that would otherwise need a scan, changed in the transaction of what they
    # count.
    op.create_table(
        "tenant_counters",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("catalog_sequence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("item_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("event_sequence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("event_count", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    # Vectors come last: SQLite reads a row from the front, so a list without vectors does not touch them.
    op.create_table(
        "items",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("change_sequence", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        sa.Column("maturity_age", sa.Integer, nullable=False),
        sa.Column("release_year", sa.Integer, nullable=False),
        sa.Column("text_vector_stale", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("picture_labels", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("text_model", sa.Text),
        sa.Column("text_version", sa.Text),
        sa.Column("text_vector", sa.LargeBinary),
        sa.Column("picture_model", sa.Text),
        sa.Column("picture_version", sa.Text),
        sa.Column("picture_vector", sa.LargeBinary),
    )
    op.create_index(
        "items_by_stale_text",
        "items",
        ["tenant", "item_id"],
        sqlite_where=sa.text("text_vector_stale = 1"),
        postgresql_where=sa.text("text_vector_stale = 1"),
    )
    op.create_table(
        "pending_pictures",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("change_sequence", sa.BigInteger, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["tenant", "item_id"], ["items.tenant", "items.item_id"], ondelete="CASCADE"),
    )
    op.create_table(
        "events",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("event_time", sa.BigInteger, nullable=False),
        sa.Column("receive_time", sa.BigInteger, nullable=False),
        sa.Column("watched_fraction", sa.Double),
        sa.Column("rating", sa.Double),
        sa.UniqueConstraint("tenant", "event_id"),
        sqlite_with_rowid=False,
    )
    # Holds every column of a user's history, so that reading it never leaves the index.
    op.create_index(
        "events_by_user",
        "events",
        ["tenant", "user_id", "event_time", "sequence", "item_id", "weight", "kind"],
    )
    op.create_table(
        "item_statistics",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("event_count", sa.BigInteger, nullable=False),
        sa.Column("positive_weight", sa.Double, nullable=False),
        sa.Column("last_event_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bundle_pointers",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("previous_version", sa.Text, nullable=False),
        sa.Column("change_time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
