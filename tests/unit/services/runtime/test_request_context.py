from __future__ import annotations

import asyncio
import time

import pytest

from services.runtime.errors import DeadlinePassed
from services.runtime.request_context import RequestContext, current_request, enter_request, request_id_from


def test_the_callers_request_id_is_used() -> None:
    assert request_id_from([("user-agent", "x"), ("x-request-id", "order-4711")]) == "order-4711"


@pytest.mark.parametrize(
    "value", ["", "x" * 129, "two\nlines", "tab\there", "nul\x00", "ümlaut", b"bytes", "esc\x1b[31m"]
)
def test_an_unusable_request_id_is_replaced(value: str | bytes) -> None:
    made = request_id_from([("x-request-id", value)])
    assert made != value
    assert len(made) == 32


def test_each_call_without_an_id_gets_its_own() -> None:
    assert len({request_id_from(None), request_id_from([]), request_id_from([("a", "b")])}) == 3


def test_no_deadline_never_passes() -> None:
    call = RequestContext()
    assert call.remaining_seconds() is None
    call.check_deadline()


def test_a_passed_deadline_is_an_error() -> None:
    with pytest.raises(DeadlinePassed):
        RequestContext(deadline=time.monotonic() - 1).check_deadline()
    RequestContext(deadline=time.monotonic() + 60).check_deadline()


async def test_each_task_sees_its_own_call() -> None:
    async def serve(name: str) -> str:
        enter_request(RequestContext(request_id=name))
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: current_request().request_id)

    assert list(await asyncio.gather(serve("a"), serve("b"))) == ["a", "b"]
    assert current_request().request_id not in {"a", "b"}
