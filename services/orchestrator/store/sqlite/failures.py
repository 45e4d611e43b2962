"""Turns SQLite's failures into errors that tell the caller what to do."""

from __future__ import annotations

import sqlite3

import grpc

from services.runtime.errors import ServiceError, Unavailable

_FULL_RETRY_SECONDS = 30.0


def store_error(error: sqlite3.Error) -> ServiceError:
    """Return the error to answer with; SQLite's own text stays in the exception's cause, for the log."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return ServiceError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "STORE_FULL",
            "the store's disk is full and nothing was written; free space or enlarge the volume, then call again",
            retry_after_seconds=_FULL_RETRY_SECONDS,
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("STORE_BUSY", "another process holds the store; send the call again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return Unavailable(
            "STORE_READ_ONLY",
            "the store's file cannot be written; check its permissions and its volume",
            30.0,
        )
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return Unavailable("STORE_UNREACHABLE", "the store's file cannot be read or written; check its volume", 5.0)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return ServiceError(
            grpc.StatusCode.DATA_LOSS,
            "STORE_CORRUPT",
            "the store's file is damaged or no database; restore it from a backup",
        )
    return ServiceError(
        grpc.StatusCode.INTERNAL, "STORE_FAILED", "the store refused a statement; the log holds the details"
    )


def overloaded() -> ServiceError:
    """Return the error for a write that would have to wait behind too many others."""
    return ServiceError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "STORE_OVERLOADED",
        "too many writes wait for the disk; send the call again later, or put more into one call",
        retry_after_seconds=1.0,
    )


def closed() -> ServiceError:
    """Return the error for calls after `close`."""
    return Unavailable(
        "STORE_CLOSED", "the store is closed because the service stops; send the call to another replica"
    )
