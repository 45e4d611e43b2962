"""Where the services are: on this machine, or where the person said; a scenario cannot name an address."""

from __future__ import annotations

from services.cli.failures import EXIT_WRONG_INPUT, CommandFailed
from services.cli.local_mesh import SERVICES
from services.cli.settings import command_settings


def addresses(target: str | None) -> dict[str, str]:
    """Return the address of each service by its short name.

    Args:
        target: the orchestrator's address from the command line; else the settings'. The others take the next ports,
            unless MARQUEE_TEXT_TARGET and the like say otherwise.
    """
    settings = command_settings()
    orchestrator = target or settings.target
    host, colon, port = orchestrator.rpartition(":")
    found = {"orchestrator": orchestrator}
    for distance, name in enumerate(SERVICES[1:], 1):
        beside = f"{host}{colon}{int(port) + distance}" if port.isdigit() else ""
        found[name] = getattr(settings, f"{name}_target") or beside
    return found


def address_of(service: str, known: dict[str, str]) -> str:
    """Return the address of one service.

    Raises:
        CommandFailed: nobody said where it is.
    """
    if not known.get(service):
        advice = f"Set MARQUEE_{service.upper()}_TARGET to its HOST:PORT."
        raise CommandFailed(f"where is the {service} service?", advice, EXIT_WRONG_INPUT)
    return known[service]
