"""ExperimentService: what lists led to, arm by arm."""

from __future__ import annotations

import time

from marquee.entertainment.v1 import experiment_service_pb2 as pb
from marquee.entertainment.v1.experiment_service_pb2_grpc import ExperimentServiceServicer
from services.orchestrator.learning.arm_report import arm_report
from services.orchestrator.store import Store
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations


class ExperimentServicer(ExperimentServiceServicer):
    """See experiment_service.proto for what the methods promise."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def GetArmReport(self, request: pb.GetArmReportRequest, context: CallContext) -> pb.GetArmReportResponse:
        """Return how the arms did."""
        check = Violations()
        check.text("surface", request.surface, minimum=0, maximum=64)
        start = request.start_time.ToMicroseconds() if request.HasField("start_time") else 0
        end = request.end_time.ToMicroseconds() if request.HasField("end_time") else time.time_ns() // 1_000
        if end <= start:
            check.add("end_time", "is not after start_time; no list can have been made between them")
        check.raise_if_any()
        return await arm_report(self._store, current_request().tenant, start, end, request.surface)
