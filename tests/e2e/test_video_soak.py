"""Streams opened and cut at random leave nothing behind in a real service process."""

from __future__ import annotations

import pytest

from tests.load.video_soak import soak

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(300)
async def test_streams_leave_nothing_behind() -> None:
    found = await soak(seconds=25, callers=3)
    assert found.left_over == 0
    assert found.endings["whole: OK"]
    assert set(found.endings) - {"cancel: CANCELLED"}
    assert found.is_flat, (found.growth_bytes, found.samples)
