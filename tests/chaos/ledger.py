"""What was acknowledged, kept in a file, and compared with what the orchestrator has stored.

An event is recognised among the exported ones by its user and item: each user of a drill has at most one event with an
item. So an event read back tells its number, whatever its time is and however often it was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from google.protobuf.timestamp_pb2 import Timestamp

from marquee.entertainment.v1.event_service_pb2 import EVENT_KIND_CUSTOM, Event

EVENTS_PER_USER = 10
_USER_MARK = "drill"
_FIRST_SECOND = 1_700_000_000
_FIELDS_PER_LINE = 3


@dataclass(frozen=True)
class Key:
    """What an exported event is recognised by."""

    user_id: str
    item_id: str


@dataclass(frozen=True)
class Numbering:
    """Turns the number of an event into its content, always the same.

    Attributes:
        items: ids of at least ten items of the catalogue.
    """

    items: Sequence[str]

    def key(self, writer: str, number: int) -> Key:
        """Return user and item of an event."""
        user, place = divmod(number, EVENTS_PER_USER)
        return Key(f"{_USER_MARK}.{writer}.{user}", self.items[(user * 7 + place) % len(self.items)])

    def event(self, writer: str, number: int) -> Event:
        """Return the event as it is sent. Every third leaves its time to the receiver."""
        key = self.key(writer, number)
        event = Event(
            event_id=f"{_USER_MARK}-{writer}-{number}",
            user_id=key.user_id,
            item_id=key.item_id,
            kind=EVENT_KIND_CUSTOM,
            custom_weight=number % 5 / 4,
        )
        if number % 3:
            event.event_time.CopyFrom(Timestamp(seconds=_FIRST_SECOND + number))
        return event

    @staticmethod
    def is_of_a_drill(user_id: str) -> bool:
        """Tell whether a user was made up by a drill."""
        return user_id.startswith(f"{_USER_MARK}.")


class Ledger:
    """The acknowledged and the sent events of one store, over all drills that it goes through.

    Args:
        path: file that each acknowledgement is appended to, one line a batch: writer, first number, end.

    Attributes:
        ends: writer → one more than the highest number it ever sent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO = path.open("a", encoding="ascii")
        self.ends: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more acknowledgements; the file can still be read."""
        self._file.close()

    def sending(self, writer: str, end: int) -> None:
        """Note that a writer is about to send all numbers below `end`."""
        self.ends[writer] = max(end, self.ends.get(writer, 0))

    def acknowledge(self, writer: str, first: int, end: int) -> None:
        """Note that the numbers from `first` to before `end` were acknowledged."""
        self._file.write(f"{writer} {first} {end}\n")
        self._file.flush()

    def acknowledged(self) -> Iterator[tuple[str, int]]:
        """Read the file: (writer, number) of each acknowledged event."""
        with self._path.open(encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                assert len(fields) == _FIELDS_PER_LINE, f"a damaged line in {self._path}: {line!r}"
                for number in range(int(fields[1]), int(fields[2])):
                    yield fields[0], number


@dataclass(frozen=True)
class Findings:
    """What comparing the ledger with the store showed.

    Attributes:
        acknowledged: events that the ledger holds.
        stored: events of drills that were read back, each counted once.
        lost: acknowledged ones that were not read back.
        doubled: events that were read back more often than once, each repetition counted.
        foreign: events read back that nobody sent.
    """

    acknowledged: int
    stored: int
    lost: int
    doubled: int
    foreign: int

    @property
    def problems(self) -> list[str]:
        """Return what must not be, one sentence each."""
        named = {
            "acknowledged events are lost": self.lost,
            "events are stored twice": self.doubled,
            "events are stored that nobody sent": self.foreign,
        }
        return [f"{count:,} {what}" for what, count in named.items() if count]


def compare(ledger: Ledger, numbering: Numbering, exported: Iterable[Key]) -> Findings:
    """Compare the ledger with every exported event.

    Args:
        ledger: what was acknowledged and what was sent.
        numbering: what the numbers stand for.
        exported: user and item of every event of a drill that the orchestrator returns.
    """
    stored = Counter(exported)
    acknowledged = {numbering.key(writer, number) for writer, number in ledger.acknowledged()}
    sent = {numbering.key(writer, number) for writer, end in ledger.ends.items() for number in range(end)}
    return Findings(
        acknowledged=len(acknowledged),
        stored=len(stored),
        lost=len(acknowledged - stored.keys()),
        doubled=sum(stored.values()) - len(stored),
        foreign=len(stored.keys() - sent),
    )
