from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from services.text.pipelines.generation.batch import Group, PromptTurn, StepTurn, capacity_of
from services.text.pipelines.generation.description import read_description
from services.text.pipelines.generation.graph import LanguageGraph
from services.text.pipelines.generation.options import Generation
from services.text.pipelines.generation.reader import MOST_UNREAD, Piece, Reader
from services.text.pipelines.generation.sampling import SamplingOptions
from tests.support.language_models import CONTEXT, END, NEVER, VOCABULARY, tokenizer_file, write_decoder
from tests.support.repositories import load_on_cpu

SLOTS = 4


@pytest.fixture
def graph(models: Path) -> LanguageGraph:
    model = load_on_cpu(write_decoder(models, end=NEVER))
    return LanguageGraph(model, read_description(model.folder, model.manifest))


@pytest.fixture
def group(graph: LanguageGraph) -> Group:
    return Group(graph, SLOTS, 64, [1, 2, SLOTS])


def begin(graph: LanguageGraph, seed: int = 1, prompt: Sequence[int] = (1, 2, 3), tokens: int = 100) -> Reader:
    """Return a text whose prompt was read."""
    asked = Generation("", tokens, (), seed, SamplingOptions())
    tokenizer = Tokenizer.from_str(tokenizer_file().decode())
    reader = Reader(asked, list(prompt), context=CONTEXT, end_tokens=[END], tokenizer=tokenizer, vocabulary=VOCABULARY)
    while reader.read < len(prompt):
        PromptTurn(graph, reader).run()
    return reader


def take_turn(group: Group) -> tuple[StepTurn, list[Sequence[tuple[Reader, Sequence[Piece]]]]]:
    told: list[Sequence[tuple[Reader, Sequence[Piece]]]] = []
    turn = StepTurn(group, told.append)
    turn.run()
    return turn, told


@pytest.mark.parametrize(("read", "capacity"), [(1, 64), (63, 64), (64, 128), (127, 128), (128, 256), (5_000, 8_192)])
def test_a_row_has_room_for_one_more_token(read: int, capacity: int) -> None:
    assert capacity_of(read, True) == capacity
    assert capacity_of(read, False) == 0


def test_a_fast_model_takes_several_steps_a_turn_and_tells_each(graph: LanguageGraph, group: Group) -> None:
    reader = begin(graph)
    group.joining.append(reader)
    turn, told = take_turn(group)
    assert (turn.taken, told) == (1, []), "nothing is known of its speed yet"
    group.observe(0.0004, 1)
    turn, told = take_turn(group)
    assert turn.taken == turn.cost == 10
    assert [len(pieces) for step in told for _, pieces in step] == [2 + 1, *[1] * 8]
    group.observe(0.5, 10)
    assert take_turn(group)[0].taken == 1


def test_a_turn_ends_early_for_who_joins_ends_or_outgrows_the_row(graph: LanguageGraph, group: Group) -> None:
    ending, growing = begin(graph, tokens=5), begin(graph, prompt=[7] * 56)
    group.joining += [ending, growing]
    group.steps = 16
    turn, _ = take_turn(group)
    assert (turn.taken, turn.rows, ending.ended) == (4, 2, True)
    turn, _ = take_turn(group)
    assert (turn.taken, turn.rows, turn.grown) == (4, 1, [growing])
    assert growing.states[0].shape == (1, 2, 64, 8)
    assert group.empty

    first, second = begin(graph), begin(graph, 2)
    group.joining.append(first)
    turn = StepTurn(group, lambda made: group.joining.append(second))
    turn.run()
    assert turn.taken == 2


def test_a_paused_text_gives_its_row_to_others_and_comes_back(graph: LanguageGraph, group: Group) -> None:
    readers = [begin(graph, seed) for seed in range(3)]
    alone = begin(graph, 1)
    for reader in [*readers, alone]:
        reader.publish(reader.take_fresh())
    group.joining += readers
    take_turn(group)
    paused = readers[1]
    paused.publish([Piece("", count=MOST_UNREAD)])
    turn, _ = take_turn(group)
    assert (turn.rows, turn.resting) == (2, [paused])
    take_turn(group)
    paused._unread = 0
    group.joining.append(paused)
    take_turn(group)
    other = Group(graph, SLOTS, 64, [1, 2, SLOTS])
    other.joining.append(alone)
    for _ in range(2):
        take_turn(other)

    def text(reader: Reader) -> str:
        return "".join(piece.text for piece in reader.take_fresh())

    assert text(paused) == text(alone)
    assert paused.read == alone.read
