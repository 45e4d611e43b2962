"""Alembic's entry point: runs revisions on the connection that `upgrade` hands over, inside its
transaction.
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
