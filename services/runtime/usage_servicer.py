"""`UsageService` of every model service: exports what the process metered."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

from google.protobuf import timestamp_pb2

from marquee.common.v1 import usage_pb2 as pb
from marquee.common.v1 import usage_pb2_grpc
from services.runtime.observability.usage import UsageMeter, UsageRecord
from services.runtime.request_context import CallContext
from services.runtime.validation import Violations

USAGE_CONTRACT = "marquee.common.v1.UsageService"
_RECORDS_A_RESPONSE = 1_000


class UsageServicer(usage_pb2_grpc.UsageServiceServicer):
    """Answers from the meter of this process."""

    def __init__(self, meter: UsageMeter) -> None:
        self._meter = meter

    async def ExportUsage(
        self, request: pb.ExportUsageRequest, context: CallContext
    ) -> AsyncIterator[pb.ExportUsageResponse]:
        """Send the records of the tenant and the hours that the request names."""
        check = Violations()
        tenant = check.tenant("tenant", request.tenant) if request.tenant else ""
        since = _moment(check, "start_time", request.start_time) if request.HasField("start_time") else 0.0
        until = _moment(check, "end_time", request.end_time) if request.HasField("end_time") else float("inf")
        if until < since:
            check.add("end_time", "is before start_time")
        check.raise_if_any()
        # A copy: the meter goes on counting between two responses.
        records = list(self._meter.records(tenant, since, until))
        for part in _parts(records):
            yield pb.ExportUsageResponse(
                process_id=self._meter.process,
                records=[_message(record) for record in part],
                overflow_count=self._meter.overflow,
            )


def _parts(records: list[UsageRecord]) -> list[list[UsageRecord]]:
    starts = itertools.chain([0], range(_RECORDS_A_RESPONSE, len(records), _RECORDS_A_RESPONSE))
    return [records[start : start + _RECORDS_A_RESPONSE] for start in starts]


def _moment(check: Violations, field: str, timestamp: timestamp_pb2.Timestamp) -> float:
    if not 0 <= timestamp.nanos < 1_000_000_000:
        check.add(f"{field}.nanos", f"is {timestamp.nanos}; it has to be 0 to 999,999,999")
    return timestamp.seconds + timestamp.nanos / 1e9


def _message(record: UsageRecord) -> pb.UsageRecord:
    return pb.UsageRecord(
        start_time=timestamp_pb2.Timestamp(seconds=record.hour),
        tenant=record.tenant,
        model=record.model,
        version=record.version,
        unit=record.unit,
        call_count=record.calls,
        amount=record.amount,
        compute_seconds=record.compute_seconds,
    )
