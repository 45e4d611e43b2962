"""Where the keys that sign tokens come from: the settings, or a file beside the SQLite store."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from services.orchestrator.recommend.slate_tokens import SMALLEST_KEY
from services.orchestrator.settings import OrchestratorSettings
from services.runtime.logs import get_logger
from services.runtime.startup import CannotStart

_SQLITE = "sqlite:///"
_KEY_BYTES = 32
_logger = get_logger(__name__)


def token_keys(settings: OrchestratorSettings) -> list[str]:
    """Return the keys, the one that signs first.

    Raises:
        CannotStart: a key of the settings is too short, or the key file cannot be used.
    """
    if settings.token_keys is not None:
        keys = [key.strip() for key in settings.token_keys.get_secret_value().split(",")]
        if any(len(key) < SMALLEST_KEY for key in keys):
            raise CannotStart(
                f"token_keys: every key needs at least {SMALLEST_KEY} characters; make one with `openssl rand -hex 32`"
            )
        return keys
    if settings.store_url.startswith(_SQLITE):
        return [_kept_key(Path(settings.store_url.removeprefix(_SQLITE) + ".key"))]
    _logger.warning(
        "no token_keys are set: tokens are good on this replica only, and until it restarts; "
        "set the same keys on all replicas"
    )
    return [secrets.token_hex(_KEY_BYTES)]


def _kept_key(path: Path) -> str:
    """Return the key in a file; it is made when there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Made whole under another name: whoever starts at the same time never reads half of it.
            draft = path.with_name(f"{path.name}.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(_KEY_BYTES) + "\n")
                file.flush()
                os.fsync(descriptor)
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
        key = path.read_text().strip()
    except OSError as error:
        raise CannotStart(f"cannot keep the token key in {path}: {error.strerror}; set token_keys") from error
    if len(key) < SMALLEST_KEY:
        raise CannotStart(f"{path} holds no token key; delete it, or set token_keys")
    return key
