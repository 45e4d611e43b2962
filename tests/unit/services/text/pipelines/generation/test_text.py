from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import Metaspace as MetaspaceDecoder
from tokenizers.models import WordLevel

from services.text.pipelines.generation.text import Detokenizer, StopTexts, show_token
from tests.support.language_models import END, tokenizer_file


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.from_str(tokenizer_file().decode())


def pieces(tokenizer: Tokenizer, tokens: list[int]) -> list[str]:
    detokenizer = Detokenizer(tokenizer)
    return [detokenizer.add(token) for token in tokens]


@pytest.mark.parametrize("text", ["plain words", "é", "一二三", "🎬🍿", "Zürich 東京", "e\u0301", "\u202eabc"])
def test_characters_come_whole_and_none_is_lost(tokenizer: Tokenizer, text: str) -> None:
    found = pieces(tokenizer, tokenizer.encode(text).ids)
    assert "".join(found) == text
    assert not any("\ufffd" in piece for piece in found)
    assert len(found) == len(text.encode())


def test_bytes_that_are_no_character_do_not_hold_the_text_up_for_ever(tokenizer: Tokenizer) -> None:
    part = tokenizer.encode("é").ids[1]
    letters = tokenizer.encode("abc").ids
    assert "".join(pieces(tokenizer, [part, *letters])).endswith("abc")
    assert "\ufffd" in "".join(pieces(tokenizer, [part] * 20))


def test_a_part_at_the_end_is_not_told(tokenizer: Tokenizer) -> None:
    assert "".join(pieces(tokenizer, tokenizer.encode("ab🎬").ids[:-1])) == "ab"


def test_tokens_of_the_models_own_are_not_told(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, [END, *tokenizer.encode("a").ids]) == ["", "a"]


def test_spaces_between_words_are_kept_by_tokenisers_that_join_them() -> None:
    words = Tokenizer(WordLevel({"\u2581one": 0, "\u2581two": 1, "s": 2}, unk_token="s"))
    words.decoder = MetaspaceDecoder()
    assert "".join(pieces(words, [0, 1, 2, 1])) == "one twos two"
    assert show_token(words, 1) == " two"
    assert show_token(words, 2) == "s"


def test_a_part_of_a_character_shows_as_such(tokenizer: Tokenizer) -> None:
    assert [show_token(tokenizer, token) for token in tokenizer.encode("é").ids] == ["\ufffd"] * 2


def test_a_stop_text_across_pieces_ends_the_text_before_it() -> None:
    stops = StopTexts(["\n\nUser:", "END"])
    told = [stops.add(piece) for piece in ("Hello", "\n", "\nUs", "er: not told")]
    assert told == ["Hello", "", "", ""]
    assert stops.found
    assert not stops.flush()


def test_what_may_begin_a_stop_text_is_held_back_only_while_it_may() -> None:
    stops = StopTexts(["abcd"])
    assert [stops.add(piece) for piece in ("xab", "c", "x", "ab")] == ["x", "", "abcx", ""]
    assert not stops.found
    assert stops.flush() == "ab"


def test_the_first_of_several_stop_texts_counts() -> None:
    stops = StopTexts(["two", "one two"])
    assert stops.add("zero one two three") == "zero "
    overlapping = StopTexts(["aab"])
    assert overlapping.add("aa") + overlapping.add("ab") == "a"
    assert overlapping.found


def test_without_stop_texts_nothing_is_held_back() -> None:
    stops = StopTexts([])
    assert stops.add("any") == "any"
