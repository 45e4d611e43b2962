"""Who may have faces looked for: nobody, until the operator names the tenants."""

from __future__ import annotations

import grpc

from services.runtime.errors import ServiceError
from services.runtime.request_context import current_request

SETTING = "MARQUEE_VISION_FACES_TENANTS"
EVERY_TENANT = "*"
REASON = "FACES_NOT_ALLOWED"


def tenants_of(setting: str) -> frozenset[str]:
    """Return the names in a list that commas separate; `*` stands for every tenant."""
    return frozenset(name.strip() for name in setting.split(",") if name.strip())


def require_faces_allowed(allowed: frozenset[str]) -> None:
    """Check that the caller's tenant may have faces looked for; to be called before any picture is decoded.

    Args:
        allowed: what `tenants_of` made of the setting `faces_tenants`.

    Raises:
        ServiceError: PERMISSION_DENIED with the reason FACES_NOT_ALLOWED, which names the setting.
    """
    tenant = current_request().tenant
    if tenant in allowed or EVERY_TENANT in allowed:
        return
    raise ServiceError(
        grpc.StatusCode.PERMISSION_DENIED,
        REASON,
        f"looking for faces is off for tenant {tenant!r}; the operator of the vision service allows it with {SETTING}",
        metadata={"tenant": tenant, "setting": SETTING},
    )
