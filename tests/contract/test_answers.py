"""What every answer must be: reported, repeatable, and independent of what else was asked."""

from __future__ import annotations

import asyncio

import numpy
import pytest

from tests.contract.cases.kinds import CompanyCase, GoodCall, IndependenceCase, unpack_vectors
from tests.contract.conftest import ServiceOf
from tests.contract.families import FAMILIES, Family
from tests.contract.service import assert_same_answers, every_good_call, ids, report_of, without_times

pytestmark = [pytest.mark.contract, pytest.mark.asyncio(loop_scope="session")]
GOOD = every_good_call(FAMILIES)
COMPANY = [(family, case) for family in FAMILIES for case in family.cases.company]
INDEPENDENCE = [(family, case) for family in FAMILIES for case in family.cases.independence]


@pytest.mark.parametrize(("family", "case"), GOOD, ids=ids(GOOD))
async def test_a_reply_tells_model_version_and_time(family: Family, case: GoodCall, service_of: ServiceOf) -> None:
    service = await service_of(family)
    report = report_of(await service.known_reply(case.method, case.request))
    assert report.model
    assert report.version == family.cases.models.get(report.model, "v1")
    assert report.compute_microseconds > 0
    assert report.queue_microseconds >= 0
    assert not report.cached
    if case.model:
        assert report.model == case.model


@pytest.mark.parametrize(("family", "case"), GOOD, ids=ids(GOOD))
async def test_the_same_question_gets_the_same_answer(family: Family, case: GoodCall, service_of: ServiceOf) -> None:
    service = await service_of(family)
    first, again = await service.known_reply(case.method, case.request), await service.reply(case.method, case.request)
    assert without_times(first) == without_times(again)


@pytest.mark.parametrize(("family", "case"), GOOD, ids=ids(GOOD))
async def test_vectors_have_length_one(family: Family, case: GoodCall, service_of: ServiceOf) -> None:
    service = await service_of(family)
    reply = await service.known_reply(case.method, case.request)
    if not hasattr(reply, "vectors"):
        return
    lengths = [float(numpy.linalg.norm(answer.vector)) for answer in unpack_vectors(reply) if answer.vector is not None]
    assert lengths == pytest.approx([1.0] * len(lengths), abs=1e-3)


@pytest.mark.parametrize(("family", "case"), INDEPENDENCE, ids=ids(INDEPENDENCE))
async def test_an_answer_does_not_depend_on_its_company(
    family: Family, case: IndependenceCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    together = case.answers(await service.known_reply(case.method, case.together))
    alone = [case.answers(await service.reply(case.method, request))[0] for request in case.alone]
    assert_same_answers(together, alone)


@pytest.mark.parametrize(("family", "case"), INDEPENDENCE, ids=ids(INDEPENDENCE))
async def test_an_answer_does_not_depend_on_what_else_runs(
    family: Family, case: IndependenceCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    expected = case.answers(await service.known_reply(case.method, case.together))
    at_once = await asyncio.gather(*(service.reply(case.method, request) for request in case.alone))
    assert_same_answers([case.answers(reply)[0] for reply in at_once], expected)


@pytest.mark.parametrize(("family", "case"), COMPANY, ids=ids(COMPANY))
async def test_replies_are_the_same_at_once_as_one_after_the_other(
    family: Family, case: CompanyCase, service_of: ServiceOf
) -> None:
    service = await service_of(family)
    alone = [without_times(await service.known_reply(case.method, request)) for request in case.requests]
    at_once = await asyncio.gather(*(service.reply(case.method, request) for request in case.requests))
    assert [without_times(reply) for reply in at_once] == alone
