"""Bad input is refused with the right code and the field's name, and harms nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.contract.cases.kinds import BadCall
from tests.contract.conftest import ServiceOf
from tests.contract.families import FAMILIES, Family
from tests.contract.service import assert_refused, ids, without_times

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="session")]
BAD = [(family, case) for family in FAMILIES for case in family.cases.bad]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.mark.parametrize(("family", "case"), BAD, ids=ids(BAD))
async def test_a_bad_call_is_refused_and_the_service_lives_on(
    family: Family, case: BadCall, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    assert_refused(await service.ask(case.method, case.request, case.seconds), case)
    await service.assert_alive()


@each_family
async def test_an_unknown_method_is_unimplemented(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = service.channel.unary_unary(f"/{family.contract}/Sing")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"", timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await service.assert_alive()


@each_family
async def test_good_calls_are_answered_right_in_the_middle_of_bad_ones(family: Family, service_of: ServiceOf) -> None:
    service = await service_of(family)
    good = family.cases.good
    expected = [without_times(await service.known_reply(case.method, case.request)) for case in good]

    async def abandon(method: str, request: Any) -> None:
        asking = asyncio.create_task(service.ask(method, request))
        await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async def ask_good() -> list[bytes]:
        return [without_times(await service.reply(case.method, case.request)) for case in good]

    async def ask_bad() -> None:
        for case in family.cases.bad:
            assert_refused(await service.ask(case.method, case.request, case.seconds), case)

    async def ask_abandoned() -> None:
        for case in good:
            await abandon(case.method, case.request)

    answered, *_ = await asyncio.gather(ask_good(), ask_bad(), ask_bad(), ask_abandoned())
    assert answered == expected
    await service.assert_alive()
