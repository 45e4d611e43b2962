"""Turns PostgreSQL's failures into errors that tell the caller what to do."""

from __future__ import annotations

import asyncpg
import grpc

from services.runtime.errors import ServiceError, Unavailable

_FULL_RETRY_SECONDS = 30.0
# SQLSTATE → reason, for codes whose class says too little.
_BUSY = {
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53200",  # out of memory
    "53300",  # too many connections
    "55P03",  # lock timeout
    "57014",  # statement timeout
}
_LOST = {
    "25P03",  # idle in a transaction for too long
    "57P01",  # administrator ended the connection
    "57P02",  # another server process crashed
    "57P03",  # starting up or shutting down
    "57P05",  # idle for too long
}
_READ_ONLY = {"25006", "42501"}
_CORRUPT = {"XX001", "XX002"}
_REFUSED_LOGIN = {"28000", "28P01", "3D000"}


class MissingPartition(Exception):
    """No partition takes events of this moment; nothing was written."""


def sqlstate(error: BaseException) -> str:
    """Return the five characters of PostgreSQL's code; empty when the error comes from elsewhere."""
    return str(getattr(error, "sqlstate", None) or "")


def connection_lost(error: BaseException) -> bool:
    """Return whether the error says that the connection, not the statement, failed."""
    code = sqlstate(error)
    if code:
        return code.startswith("08") or code in _LOST
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error)
    return isinstance(error, OSError | asyncpg.InternalClientError)


def store_error(error: BaseException) -> ServiceError:
    """Return the error to answer with; PostgreSQL's own text stays in the exception's cause, for the log."""
    code = sqlstate(error)
    if code == "53100":
        return ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "STORE_FULL",
            "the database's disk is full and nothing was written; free space or enlarge the volume, then call again",
            retry_after_seconds=_FULL_RETRY_SECONDS,
        )
    if code in _BUSY:
        return busy()
    if code in _READ_ONLY:
        return Unavailable(
            "STORE_READ_ONLY",
            "the database takes no writes; check the rights of its user, and that the address leads to the primary",
            30.0,
        )
    if code in _REFUSED_LOGIN:
        return Unavailable(
            "STORE_UNREACHABLE",
            "the database refused the login; check database, user and password in the store's URL",
            30.0,
        )
    if connection_lost(error) or code.startswith("58"):
        return unreachable()
    if code in _CORRUPT:
        return ServiceError(
            grpc.StatusCode.DATA_LOSS, "STORE_CORRUPT", "the database is damaged; restore it from a backup"
        )
    return ServiceError(
        grpc.StatusCode.INTERNAL, "STORE_FAILED", "the store refused a statement; the log holds the details"
    )


def busy() -> ServiceError:
    """Return the error for a call that found no free connection, or a lock that stayed held."""
    return Unavailable("STORE_BUSY", "the database is busy; send the call again")


def unreachable() -> ServiceError:
    """Return the error for a database that does not answer."""
    return Unavailable("STORE_UNREACHABLE", "the database cannot be reached; check that it runs")


def outcome_unknown() -> ServiceError:
    """Return the error for the one failure that may have written: the connection broke during the commit, and
    the database cannot be asked what became of it.
    """
    return Unavailable(
        "STORE_UNREACHABLE",
        "the database was lost during a commit, and whether it was done is unknown; send the call again: an event is"
        " counted once however often it is sent",
    )


def overloaded() -> ServiceError:
    """Return the error for a write that would have to wait behind too many others."""
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "STORE_OVERLOADED",
        "too many writes wait for the database; send the call again later, or put more into one call",
        retry_after_seconds=1.0,
    )


def closed() -> ServiceError:
    """Return the error for calls after `close`."""
    return Unavailable(
        "STORE_CLOSED", "the store is closed because the service stops; send the call to another replica"
    )
