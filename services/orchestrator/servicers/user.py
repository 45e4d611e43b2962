"""UserService: what is kept about one user is handed out, and erased; and what users wish for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from marquee.entertainment.v1 import user_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import UserSettings
from marquee.entertainment.v1.user_service_pb2_grpc import UserServiceServicer
from services.orchestrator.events.event_messages import event_message
from services.orchestrator.recommend.user_settings import check_settings
from services.orchestrator.store import Store
from services.orchestrator.store.records import EventPosition, Slate
from services.runtime.errors import NotFound
from services.runtime.request_context import CallContext, current_request
from services.runtime.validation import Violations

_EVENTS = 1_000
_LISTS = 100


class UserServicer(UserServiceServicer):
    """See user_service.proto for what the methods promise.

    Args:
        store: where everything about users is.
        forget: told the tenant and id of an erased user, so that nothing of it stays in memory.
    """

    def __init__(self, store: Store, forget: Callable[[str, str], None]) -> None:
        self._store = store
        self._forget = forget

    async def ExportUser(
        self, request: pb.ExportUserRequest, context: CallContext
    ) -> AsyncIterator[pb.ExportUserResponse]:
        """Stream events, then lists, reading a page at a time."""
        _check_user(request.user_id)
        tenant, user_id = current_request().tenant, request.user_id
        found = False
        before: EventPosition | None = None
        while events := await self._store.list_user_events(tenant, user_id, _EVENTS, before):
            found = True
            yield pb.ExportUserResponse(events=map(event_message, events))
            before = EventPosition(events[-1].event_time, events[-1].sequence)
        last: tuple[int, str] | None = None
        while slates := await self._store.list_user_slates(tenant, user_id, _LISTS, last):
            found = True
            yield pb.ExportUserResponse(lists=map(_list_message, slates))
            last = (slates[-1].create_time, slates[-1].slate_id)
        if settings := await self._store.user_settings(tenant, user_id):
            found = True
            yield pb.ExportUserResponse(settings=UserSettings.FromString(settings))
        if not found:
            raise NotFound("user_id", "user", user_id, "nothing is stored about this user")

    async def SetUserSettings(
        self, request: pb.SetUserSettingsRequest, context: CallContext
    ) -> pb.SetUserSettingsResponse:
        """Store what a user wishes for."""
        check = Violations()
        check.identifier("user_id", request.user_id)
        check_settings(check, request.settings)
        check.raise_if_any()
        settings = request.settings.SerializeToString(deterministic=True)
        await self._store.set_user_settings(current_request().tenant, request.user_id, settings)
        return pb.SetUserSettingsResponse(settings=request.settings)

    async def GetUserSettings(
        self, request: pb.GetUserSettingsRequest, context: CallContext
    ) -> pb.GetUserSettingsResponse:
        """Return what a user wishes for."""
        _check_user(request.user_id)
        settings = await self._store.user_settings(current_request().tenant, request.user_id)
        return pb.GetUserSettingsResponse(settings=UserSettings.FromString(settings))

    async def EraseUser(self, request: pb.EraseUserRequest, context: CallContext) -> pb.EraseUserResponse:
        """Erase a user; the receipt is given when that is on disk."""
        _check_user(request.user_id)
        tenant = current_request().tenant
        receipt = await self._store.erase_user(tenant, request.user_id)
        self._forget(tenant, request.user_id)
        answer = pb.EraseUserResponse(event_count=receipt.event_count, list_count=receipt.slate_count)
        answer.erase_time.FromMicroseconds(receipt.erase_time)
        return answer


def _check_user(user_id: str) -> None:
    violations = Violations()
    violations.identifier("user_id", user_id)
    violations.raise_if_any()


def _list_message(slate: Slate) -> pb.ShownList:
    message = pb.ShownList(
        slate_id=slate.slate_id,
        surface=slate.surface,
        bundle_version=slate.bundle_version,
        arm=slate.arm,
        item_ids=slate.item_ids,
    )
    message.create_time.FromMicroseconds(slate.create_time)
    return message
