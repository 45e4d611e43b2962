"""Personal settings: what a user wishes for applies where a request is silent."""

from __future__ import annotations

from marquee.entertainment.v1 import recommendation_service_pb2 as pb
from marquee.entertainment.v1.preference_pb2 import UserSettings
from services.orchestrator.recommend.options import read_recommend
from services.runtime.errors import InvalidRequest
from services.runtime.validation import Violations

_OPTIONAL = ("diversity", "novelty", "maximum_maturity_age", "impression_fatigue")
_REPEATED = ("excluded_tags", "tastes", "category_caps")
_ANYBODY = "anybody"


def with_settings(request: pb.RecommendRequest, settings: bytes) -> pb.RecommendRequest:
    """Return the request with the user's settings in the fields that it leaves open; itself without settings."""
    if not settings:
        return request
    wishes = UserSettings.FromString(settings)
    filled = pb.RecommendRequest()
    filled.CopyFrom(request)
    for name in _OPTIONAL:
        if wishes.HasField(name) and not request.HasField(name):  # type: ignore[arg-type]  # of the names above
            setattr(filled, name, getattr(wishes, name))
    for name in _REPEATED:
        if not getattr(request, name):
            getattr(filled, name).extend(getattr(wishes, name))
    filled.region = request.region or wishes.region
    return filled


def check_settings(check: Violations, settings: UserSettings) -> None:
    """Hold settings to the limits of the request fields of the same names, so that no stored one can spoil a list."""
    request = with_settings(pb.RecommendRequest(user_id=_ANYBODY), settings.SerializeToString())
    try:
        read_recommend(request)
    except InvalidRequest as error:
        for violation in error.violations:
            check.add(f"settings.{violation.field}", violation.description)
