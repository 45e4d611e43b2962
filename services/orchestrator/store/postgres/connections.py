"""Opens connections with the settings that the store's promises and its speed rest on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from services.orchestrator.store.postgres.failures import connection_lost, sqlstate, store_error
from services.runtime.errors import FailedPrecondition, ServiceError
from services.runtime.logs import get_logger

Connection: TypeAlias = Any
"""An `asyncpg.Connection`, which comes without type information."""

_OLDEST_POSTGRESQL = 14
_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 1.0
_CLASS_OF_VALUES = "22"
_LONGEST_WORDS = 300
_IDLE_IN_TRANSACTION_SECONDS = 1.0
_PLANS = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort")
_SETTINGS = {
    "application_name": "marquee-orchestrator",
    "default_transaction_isolation": "read committed",
    # Every statement is short and made for an index.
    "jit": "off",
    **{f"enable_{plan}": "off" for plan in _PLANS},
}
PLAN_FREELY = "; ".join(f"SET LOCAL enable_{plan} = on" for plan in _PLANS)
"""For transactions with statements that are rare and large."""
_logger = get_logger(__name__)


class InvalidAddress(ValueError):
    """The URL names no database, or has an option that the driver does not know."""


@dataclass(frozen=True)
class Server:
    """Where the database is and how long a statement may take there.

    Attributes:
        url: `postgresql://user:password@host:port/database?...` as libpq reads it.
        lock_seconds: longest wait for another session's lock.
        statement_seconds: longest time of one statement.
        plan_once: keep the plan that a statement got at first. With many months of events planning takes longer than
            reading; but a plan made while a table was empty may take the wrong index when it is large.
    """

    url: str = field(repr=False)
    lock_seconds: float
    statement_seconds: float
    plan_once: bool = False

    async def connect(self, timeout_seconds: float) -> Connection:
        """Open one connection; retried until the time is up, because a server that restarts is back soon.

        Raises:
            ServiceError: no connection within the time, or the login was refused.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds
        while True:
            left = end - loop.time()
            try:
                return await self.connect_once(max(left, _PAUSE_SECONDS))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                starts = connection_lost(error) or sqlstate(error) == "53300"
                if not starts or loop.time() + _PAUSE_SECONDS > end:
                    _logger.warning("no connection to the database", error=words(error), code=sqlstate(error))
                    raise store_error(error) from error
            await asyncio.sleep(_PAUSE_SECONDS)

    async def connect_once(self, timeout_seconds: float, *, patient: bool = False) -> Connection:
        """Open one connection, or raise what the driver raises; a patient one waits for locks and statements without
        end.
        """
        try:
            connection = await asyncpg.connect(
                self.url,
                timeout=timeout_seconds,
                # For a server that is there no more and cannot end the statement itself.
                command_timeout=None if patient else self.statement_seconds + _ANSWER_SECONDS,
                # Statements are prepared once a connection and kept; there are fewer than this.
                statement_cache_size=200,
                max_cached_statement_lifetime=0,
                server_settings=self._settings() | ({} if patient else self._limits()),
            )
        except ValueError:
            # Its text may hold a part of the password.
            raise InvalidAddress("the URL of the database cannot be read") from None
        try:
            # An acknowledged write is on disk, whatever the server's default; stronger settings are left alone.
            await connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            )
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _settings(self) -> dict[str, str]:
        return _SETTINGS | {"plan_cache_mode": "force_generic_plan" if self.plan_once else "force_custom_plan"}

    def _limits(self) -> dict[str, str]:
        return {
            "lock_timeout": _milliseconds(self.lock_seconds),
            "statement_timeout": _milliseconds(self.statement_seconds),
            # A replica that was stopped in the middle of a write must not keep the others waiting for longer than they
            # would wait for a lock. Should it go on, its write begins again.
            "idle_in_transaction_session_timeout": _milliseconds(_IDLE_IN_TRANSACTION_SECONDS),
        }


async def check_server(connection: Connection) -> None:
    """Refuse a server that the store cannot work on; warn when it was set up to lose data.

    Raises:
        ServiceError: it is too old, or the database is not in UTF-8.
    """
    major = connection.get_server_version().major
    if major < _OLDEST_POSTGRESQL:
        raise FailedPrecondition(
            "STORE_TOO_OLD", f"this is PostgreSQL {major}; the store needs {_OLDEST_POSTGRESQL} or newer"
        )
    encoding, fsync = await connection.fetchrow("SELECT current_setting('server_encoding'), current_setting('fsync')")
    if encoding != "UTF8":
        raise FailedPrecondition(
            "STORE_ENCODING",
            f"the database is encoded in {encoding}; create it with ENCODING 'UTF8' TEMPLATE template0",
        )
    if fsync != "on":
        _logger.warning("the server runs with fsync off: acknowledged events are lost when its machine stops")


def failure(error: BaseException, doing: str) -> ServiceError:
    """Log what the driver raised and return the error to answer with."""
    _logger.warning("the database failed", doing=doing, error=words(error), code=sqlstate(error))
    return store_error(error)


def words(error: BaseException) -> str:
    """Return what failed in the driver's words, without the values that may be in them."""
    if sqlstate(error).startswith(_CLASS_OF_VALUES):
        return type(error).__name__
    return str(error.args[0])[:_LONGEST_WORDS] if error.args else type(error).__name__


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
