from __future__ import annotations

import asyncpg
import grpc
import pytest

from services.orchestrator.store.postgres.failures import connection_lost, store_error


def sql_error(code: str) -> asyncpg.PostgresError:
    return asyncpg.PostgresError.new({"C": code, "M": "the server's own words"})


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("53100", grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL"),
        ("53300", grpc.StatusCode.UNAVAILABLE, "STORE_BUSY"),
        ("55P03", grpc.StatusCode.UNAVAILABLE, "STORE_BUSY"),
        ("40P01", grpc.StatusCode.UNAVAILABLE, "STORE_BUSY"),
        ("57014", grpc.StatusCode.UNAVAILABLE, "STORE_BUSY"),
        ("25006", grpc.StatusCode.UNAVAILABLE, "STORE_READ_ONLY"),
        ("42501", grpc.StatusCode.UNAVAILABLE, "STORE_READ_ONLY"),
        ("28P01", grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE"),
        ("57P01", grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE"),
        ("58030", grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE"),
        ("XX001", grpc.StatusCode.DATA_LOSS, "STORE_CORRUPT"),
        ("23502", grpc.StatusCode.INTERNAL, "STORE_FAILED"),
    ],
)
def test_every_failure_says_what_to_do(code: str, status: grpc.StatusCode, reason: str) -> None:
    error = store_error(sql_error(code))
    assert (error.code, error.reason) == (status, reason)
    assert "own words" not in error.message
    if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        assert error.retry_after_seconds


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (sql_error("57P01"), True),
        (sql_error("57P03"), True),
        (sql_error("08006"), True),
        (sql_error("23505"), False),
        (sql_error("53100"), False),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (asyncpg.InterfaceError("cannot call Connection.execute(): connection is closed"), True),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), False),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), True),
        (asyncpg.DataError("invalid input for query argument $1"), False),
    ],
)
def test_a_lost_connection_is_told_from_a_failed_statement(error: BaseException, lost: bool) -> None:
    assert connection_lost(error) is lost
