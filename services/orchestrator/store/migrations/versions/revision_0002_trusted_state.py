"""Trusted state: receipts of events, erased users, slates, routes, availability of items, changes of the catalogue.

Events are deduplicated by receipts, which outlive neither more nor less than the stated window; on PostgreSQL the
events become a table partitioned by the time of receipt, so that retention drops whole partitions.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NO_ROWID = {"sqlite_with_rowid": False}


def upgrade() -> None:
    """Create the tables, and rebuild the events without their unique index."""
    _extend_items()
    op.create_table(
        "item_deletions",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("change_sequence", sa.BigInteger, nullable=False),
        sa.Column("delete_time", sa.BigInteger, nullable=False),
        **_NO_ROWID,
    )
    op.create_index("item_deletions_by_sequence", "item_deletions", ["tenant", "change_sequence"])
    op.create_table(
        "event_receipts",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("event_digest", sa.LargeBinary, primary_key=True),
        sa.Column("content_digest", sa.LargeBinary),
        sa.Column("receive_time", sa.BigInteger, nullable=False),
        **_NO_ROWID,
    )
    op.create_index("event_receipts_by_time", "event_receipts", ["receive_time"])
    op.create_table(
        "erased_users",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("user_digest", sa.LargeBinary, primary_key=True),
        sa.Column("erase_time", sa.BigInteger, nullable=False),
        **_NO_ROWID,
    )
    op.create_table(
        "slates",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("slate_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("surface", sa.Text, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("expire_time", sa.BigInteger, nullable=False),
        sa.Column("bundle_version", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("item_ids", sa.Text, nullable=False),
        sa.Column("propensities", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("slates_by_user", "slates", ["tenant", "user_id", "create_time", "slate_id"])
    op.create_index("slates_by_expiry", "slates", ["expire_time"])
    op.create_table(
        "routes",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("task", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
        **_NO_ROWID,
    )
    if op.get_context().dialect.name == "postgresql":
        _partition_events()
        _compare_by_bytes()
    else:
        _rebuild_events()


def _extend_items() -> None:
    op.add_column("items", sa.Column("picture_uri", sa.Text, nullable=False, server_default=""))
    op.add_column("items", sa.Column("locale", sa.Text, nullable=False, server_default=""))
    # JSON object of what is limited; empty when nothing is.
    op.add_column("items", sa.Column("availability", sa.Text, nullable=False, server_default=""))
    # The tenant's counter at the last change of any kind; change_sequence names the last write by a caller only.
    op.add_column("items", sa.Column("last_change", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE items SET last_change = change_sequence")
    op.create_index("items_by_last_change", "items", ["tenant", "last_change"])
    # Deletions up to this state of the catalogue are forgotten.
    op.add_column(
        "tenant_counters", sa.Column("deletions_forgotten", sa.BigInteger, nullable=False, server_default="0")
    )
    # What was deleted before this revision was never written down.
    op.execute("UPDATE tenant_counters SET deletions_forgotten = catalog_sequence")


def _event_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Integer, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("event_time", sa.BigInteger, nullable=False),
        sa.Column("receive_time", sa.BigInteger, nullable=False),
        sa.Column("watched_fraction", sa.Double),
        sa.Column("rating", sa.Double),
        sa.Column("slate_id", sa.Text, nullable=False, server_default=""),
        sa.Column("position", sa.Integer),
    ]


_INDEX = ["tenant", "user_id", "event_time", "sequence", "item_id", "weight", "kind"]


def _rebuild_events() -> None:
    op.drop_index("events_by_user", "events")
    op.rename_table("events", "events_0001")
    op.create_table("events", *_event_columns(), sa.PrimaryKeyConstraint("tenant", "sequence"), **_NO_ROWID)
    op.execute("INSERT INTO events SELECT *, '', NULL FROM events_0001 ORDER BY tenant, sequence")
    connection = op.get_bind()
    _write_receipts(connection)
    op.drop_table("events_0001")
    op.create_index("events_by_user", "events", _INDEX)


def _write_receipts(connection: sa.Connection) -> None:
    """Give every stored event its receipt. Contents are not compared: times given and not are no longer told apart."""
    import hashlib  # noqa: PLC0415  # migrations stand for themselves: what the code does later must not change them

    def digest(identifier: str) -> bytes:
        return hashlib.blake2b(identifier.encode(), digest_size=16).digest()

    raw = connection.connection.driver_connection
    assert raw is not None
    raw.create_function("event_digest", 1, digest, deterministic=True)
    op.execute(
        "INSERT INTO event_receipts (tenant, event_digest, content_digest, receive_time)"
        " SELECT tenant, event_digest(event_id), NULL, receive_time FROM events"
    )


def _partition_events() -> None:
    # No released version kept events here, so there is nothing to carry over.
    op.drop_table("events")
    op.create_table(
        "events",
        *_event_columns(),
        sa.PrimaryKeyConstraint("tenant", "sequence", "receive_time"),
        postgresql_partition_by="RANGE (receive_time)",
    )
    op.create_index("events_by_user", "events", _INDEX)
    # Tells a writer whose connection broke during the commit whether it was done; the same few rows over and over.
    op.create_table(
        "commit_marks",
        sa.Column("mark", sa.LargeBinary, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("change_time", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": "50"},
    )
    # A few bytes for each megabyte: rows lie in the order of their receipt.
    op.create_index("events_by_receive_time", "events", ["receive_time"], postgresql_using="brin")


def _compare_by_bytes() -> None:
    """Have ids sorted by their UTF-8 bytes whatever the locale of the database, as lists and page tokens need it; that
    is faster too.
    """
    columns = op.get_bind().execute(
        sa.text(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND data_type = 'text'"
            " AND table_name IN ('tenant_counters', 'items', 'pending_pictures', 'item_statistics', 'bundle_pointers',"
            " 'events', 'item_deletions', 'event_receipts', 'erased_users', 'slates', 'routes')"
            " ORDER BY table_name, ordinal_position"
        )
    )
    changes: dict[str, list[str]] = {}
    for table, column in columns:
        changes.setdefault(table, []).append(f'ALTER COLUMN {column} TYPE text COLLATE "C"')
    for table, parts in changes.items():
        op.execute(f"ALTER TABLE {table} {', '.join(parts)}")
