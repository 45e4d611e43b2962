from __future__ import annotations

import asyncio
import time

import pytest

from services.runtime.errors import DeadlinePassed, InvalidRequest
from services.runtime.request_context import Priority, RequestContext, current_request, enter_request, read_metadata


def request_id_from(metadata: list[tuple[str, str | bytes]] | None) -> str:
    context = RequestContext()
    read_metadata(context, metadata)
    return context.request_id


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


def test_tenant_and_priority_come_from_the_metadata() -> None:
    context = RequestContext()
    assert (context.tenant, context.priority) == ("default", Priority.NORMAL)
    read_metadata(context, [("x-marquee-tenant", "studio-7"), ("x-marquee-priority", "high")])
    assert (context.tenant, context.priority) == ("studio-7", Priority.HIGH)


@pytest.mark.parametrize(
    ("key", "value"),
    [("x-marquee-tenant", "Not A Tenant"), ("x-marquee-priority", "urgent"), ("x-marquee-priority", "")],
)
def test_a_bad_tenant_or_priority_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"metadata {key}"):
        read_metadata(RequestContext(), [(key, value)])


def test_a_service_that_outsiders_reach_does_not_let_them_name_the_tenant() -> None:
    context = RequestContext()
    with pytest.raises(InvalidRequest, match="metadata x-marquee-tenant"):
        read_metadata(context, [("x-marquee-tenant", "studio-7")], take_tenant=False)
    assert context.tenant == "default"


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
