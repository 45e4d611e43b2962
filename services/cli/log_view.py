"""One view of the logs of all services: follows their files and prints their JSON lines for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.text import Text

_COLOURS = {"orchestrator": "cyan", "text": "green", "vision": "magenta", "classical": "yellow"}
_LEVEL_STYLES = {"warning": "yellow", "error": "bold red", "critical": "bold red"}
_KNOWN = frozenset(
    ("module", "event", "service", "level", "timestamp", "request_id", "method", "code", "milliseconds", "exception")
)
_WIDTH = max(map(len, _COLOURS))
_LARGEST_LOG_BYTES = 64 << 20


def render_line(service: str, line: str) -> Text:
    """Return one log line for people; lines that are no JSON object, such as tracebacks, stay as they are."""
    text = Text(f"{service:<{_WIDTH}} ", style=_COLOURS.get(service, "white"))
    return text.append_text(sentence_of(line))


def sentence_of(line: str, otherwise: str = "") -> Text:
    """Return one log line for people, without what said it.

    Args:
        line: as it was written.
        otherwise: time to show when the line has none.
    """
    entry = parse_line(line)
    text = Text()
    if entry is None:
        return text.append(f"{otherwise} {line}" if otherwise else line, style="dim")
    time = str(entry.get("timestamp", ""))[11:19] or otherwise
    level = str(entry.get("level", "info"))
    text.append(f"{time} ", style="dim")
    text.append(_sentence(entry), style=_LEVEL_STYLES.get(level, "default"))
    facts = [f"{key}={value}" for key, value in entry.items() if key not in _KNOWN]
    if facts:
        text.append(" " + " ".join(facts), style="dim")
    if entry.get("exception"):
        text.append(f"\n{entry['exception']}", style="dim")
    return text


def parse_line(line: str) -> dict[str, Any] | None:
    """Return the fields of a structured log line; None for any other line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def is_quiet_line(line: str) -> bool:
    """Tell whether a line needs nobody's attention: a structured one below warning."""
    entry = parse_line(line)
    return entry is not None and entry.get("level") in ("debug", "info")


def _sentence(entry: dict[str, Any]) -> str:
    if entry.get("event") != "call":
        return str(entry.get("event", ""))
    method = str(entry.get("method", "")).rpartition("/")[2]
    return f"{method} {entry.get('code', '')} {entry.get('milliseconds', 0):.1f} ms"


class LogFollower:
    """Reads what is new in the services' log files.

    Args:
        paths: log file of each service.
    """

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self._places = dict.fromkeys(paths, 0)
        self._halves = dict.fromkeys(paths, b"")

    def new_lines(self) -> list[tuple[str, str]]:
        """Return the complete lines written since the last call as (service, line), in the order of their times."""
        found: list[tuple[str, str, str]] = []
        for service, path in self._paths.items():
            if not path.exists():
                continue
            size = path.stat().st_size
            if size < self._places[service]:  # the service was started again
                self._places[service] = 0
            if size == self._places[service]:
                continue
            with path.open("rb") as file:
                file.seek(self._places[service])
                content = self._halves[service] + file.read()
                self._places[service] = file.tell()
            *lines, self._halves[service] = content.split(b"\n")
            time = ""
            for line in (content.decode(errors="replace") for content in lines):
                # Lines without a time, such as tracebacks, stay with the one before them.
                time = str((parse_line(line) or {}).get("timestamp", time))
                found.append((time, service, line))
        found.sort(key=lambda entry: entry[0])
        return [(service, line) for _, service, line in found]

    def limit_sizes(self) -> None:
        """Empty files that grew beyond 64 MB; the services append, so they go on at the start."""
        for service, path in self._paths.items():
            if self._places[service] > _LARGEST_LOG_BYTES:
                with path.open("r+b") as file:
                    file.truncate(0)
