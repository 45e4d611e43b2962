"""The schema of every store, as Alembic revisions.

Revisions only expand the schema; what nothing uses any more is dropped a release later. So the release
before still runs on the newest schema, a roll-out can go back, and no revision needs a downgrade. Revision
names are numbers of four digits that rise, and `HEAD` is the newest: a store that is up to date is
recognised without importing Alembic, which takes a third of a second and 30 MB.
"""

from __future__ import annotations

HEAD = "0004"

SCHEMA_LOCK = 4_711_301
"""PostgreSQL's advisory lock of everything that creates tables, so that replicas that start together queue."""
