from __future__ import annotations

from collections.abc import Sequence

import grpc

from marquee.entertainment.v1.catalog_service_pb2 import Item
from marquee_client import FieldViolation, InvalidArgument, ResourceExhausted
from services.cli.json_lines import Line, Refusal
from services.cli.upload import send_all, send_lines


def lines(*titles: str) -> list[Line[Item] | Refusal]:
    return [Line(number, Item(item_id=title, title=title)) for number, title in enumerate(titles, 1)]


class Receiver:
    """Takes batches, and refuses as it is told."""

    def __init__(self, wrong: str = "", *, names_places: bool = True, largest: int = 10**9) -> None:
        self.taken: list[list[str]] = []
        self._wrong = wrong
        self._names_places = names_places
        self._largest = largest

    def __call__(self, items: Sequence[Item]) -> None:
        if sum(item.ByteSize() for item in items) > self._largest:
            raise ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", reason="MESSAGE_TOO_LARGE")
        wrong = [
            FieldViolation(f"items[{place}].title", "is wrong")
            for place, item in enumerate(items)
            if item.title.startswith(self._wrong or "\0")
        ]
        if wrong:
            violations = wrong if self._names_places else [FieldViolation("items", "one is wrong")]
            raise InvalidArgument(grpc.StatusCode.INVALID_ARGUMENT, "refused", field_violations=violations)
        self.taken.append([item.title for item in items])


def test_messages_go_out_in_batches() -> None:
    receiver, counted = Receiver(), list[int]()
    send_all((Item(title=str(number)) for number in range(5)), receiver, 2, counted.append)
    assert receiver.taken == [["0", "1"], ["2", "3"], ["4"]]
    assert counted == [2, 2, 1]


def test_refused_lines_are_left_out_and_the_rest_is_sent_again() -> None:
    receiver = Receiver("x")
    refused = list(send_lines(lines("a", "x1", "b", "x2"), receiver, 10, lambda count: None))
    assert refused == [Refusal(2, "title is wrong"), Refusal(4, "title is wrong")]
    assert receiver.taken == [["a", "b"]]


def test_an_error_that_names_no_line_is_found_by_halves() -> None:
    receiver = Receiver("x", names_places=False)
    refused = list(send_lines(lines("a", "b", "x", "c"), receiver, 10, lambda count: None))
    assert refused == [Refusal(3, "refused")]
    assert sorted(title for batch in receiver.taken for title in batch) == ["a", "b", "c"]


def test_a_batch_that_is_too_large_is_split() -> None:
    receiver = Receiver(largest=12)
    refused = list(send_lines(lines("aa", "bb", "c" * 20), receiver, 10, lambda count: None))
    assert [one.number for one in refused] == [3]
    assert [title for batch in receiver.taken for title in batch] == ["aa", "bb"]


def test_a_repeated_key_starts_a_new_batch_so_that_the_later_line_wins() -> None:
    receiver = Receiver()
    assert not list(send_lines(lines("a", "b", "a"), receiver, 10, lambda count: None, key=lambda item: item.item_id))
    assert receiver.taken == [["a", "b"], ["a"]]


def test_every_line_is_counted_once() -> None:
    counted: list[int] = []
    entries = [*lines("a", "x", "b"), Refusal(4, "bad JSON")]
    assert len(list(send_lines(entries, Receiver("x"), 2, counted.append))) == 2
    assert sum(counted) == 4
