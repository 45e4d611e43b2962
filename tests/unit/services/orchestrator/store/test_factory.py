from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from services.orchestrator.store import open_store
from services.orchestrator.store.factory import UnsupportedStore
from services.runtime.errors import ServiceError


@pytest.mark.parametrize(
    "url", ["postgresql://db/marquee", "mysql://x", "sqlite://", "sqlite:///", "sqlite:///:memory:", ""]
)
async def test_an_unknown_store_is_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(UnsupportedStore, match="supported is sqlite:///PATH"):
        await open_store(url)


async def test_a_password_in_the_url_is_not_repeated() -> None:
    with pytest.raises(UnsupportedStore) as refused:
        await open_store("postgresql://user:secret@db/marquee")
    assert "secret" not in str(refused.value)


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
