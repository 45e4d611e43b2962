from __future__ import annotations

import traceback
from pathlib import Path

import grpc
import pytest

from services.orchestrator.store import open_store
from services.orchestrator.store.factory import UnsupportedStore
from services.runtime.errors import ServiceError
from tests.support.postgres import PostgresServer


@pytest.mark.parametrize("url", ["mysql://x", "sqlite://", "sqlite:///", "sqlite:///:memory:", ""])
async def test_an_unknown_store_is_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(UnsupportedStore, match="sqlite:///PATH"):
        await open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@db/marquee",
        "postgresql://user:se/secret@db/marquee",
        "postgresql://user:secret#1@db:port/marquee",
        "postgresql://user:secret@db:5432x/marquee",
    ],
)
async def test_a_password_in_the_url_is_not_repeated(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnsupportedStore) as refused:
        await open_store(url)
    told = "".join(traceback.format_exception(refused.value)) + "".join(capsys.readouterr())
    assert "secret" not in told


async def test_a_database_that_is_not_there_is_told_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServiceError) as refused:
        await open_store("postgresql://user:secret@127.0.0.1:1/marquee", busy_timeout_seconds=0.2)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNREACHABLE")
    assert refused.value.retry_after_seconds
    assert "secret" not in "".join(capsys.readouterr()) + str(refused.value)


async def test_a_refused_login_is_told_without_the_password(
    postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ServiceError) as refused:
        await open_store(f"postgresql://marquee:not-this-one@127.0.0.1:{postgres_server.port}/postgres")
    assert refused.value.reason == "STORE_UNREACHABLE"
    assert "refused the login" in refused.value.message
    assert "not-this-one" not in "".join(capsys.readouterr()) + str(refused.value)


async def test_missing_folders_are_created(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "marquee 100%.sqlite"
    store = await open_store(f"sqlite:///{path}")
    await store.close()
    assert path.is_file()


async def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8\xff" * 1000)
    with pytest.raises(ServiceError) as refused:
        await open_store(f"sqlite:///{path}")
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.DATA_LOSS, "STORE_CORRUPT")
    assert path.read_bytes() == b"\xff\xd8\xff" * 1000


async def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError) as refused:
        await open_store(f"sqlite:///{tmp_path}")
    assert refused.value.reason == "STORE_UNREACHABLE"
