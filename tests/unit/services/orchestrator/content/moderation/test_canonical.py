from __future__ import annotations

import time

import pytest

from services.orchestrator.content.moderation.canonical import canonical
from services.orchestrator.content.moderation.lexicon import load_lexicon

LEXICON = load_lexicon()


@pytest.mark.parametrize(
    "disguised",
    [
        "you are an id10t",
        "you are an i.d.i.o.t",
        "you are an i d i o t",
        "you are an iiidiooot",
        "you are an toidi",
        "you are an idoit",
        "you are an id*ot",  # codespell:ignore ot
        "you are an \uff49\uff44\uff49\uff4f\uff54",
        "you are an i\u200bd\u200bi\u200bo\u200bt",
        "you are an \U0001d422\U0001d41d\U0001d422\U0001d428\U0001d42d",
        "you are an \u0456d\u0456\u043et",
        "you are an !d!ot",  # codespell:ignore ot
    ],
)
def test_disguises_are_taken_off_and_the_place_is_known(disguised: str) -> None:
    found = canonical(disguised, LEXICON)
    assert found.text == "you are an idiot"
    start = found.text.index("idiot")
    assert found.place(start, start + 5) == (11, len(disguised))
    assert [word for word, *_ in found.disguised] == ["idiot"]


@pytest.mark.parametrize(
    "harmless",
    [
        "Scunthorpe United, the assassin class of Essex, an analysis by Hancock",
        "10/10, would play again :)",
        "Dickens wrote about cockpits? No, classic assumptions.",
        "gg wp e z  p z",
        "see http://example.com/a_b?c=d&e=1 and mail me at a.b@example.com",
        "R&B, AT&T, C++ and f(x) = x**2",
        "Café in Zürich \U0001f600 très bien",
        "\u042f \u043b\u044e\u0431\u043b\u044e \u044d\u0442\u0443 \u0438\u0433\u0440\u0443",
    ],
)
def test_harmless_lookalikes_pass(harmless: str) -> None:
    assert canonical(harmless, LEXICON).disguised == ()


@pytest.mark.parametrize(
    "odd",
    [
        "",
        " ",
        "\u202e\u202d",
        "\u0301" * 50,
        "*" * 500,
        "a" * 10_000,
        "1!@" * 3_000,
        "aabb" * 2_500,
        "a1" * 5_000,
        "a " * 5_000,
        "f" + "*" * 9_998,
        "\U0001d41f" * 10_000,
    ],
)
def test_odd_texts_are_read_quickly(odd: str) -> None:
    begun = time.process_time()
    found = canonical(odd, LEXICON)
    assert len(found.starts) == len(found.ends) == len(found.text)
    assert time.process_time() - begun < 2, "a message of the longest kind must not keep others waiting"


def test_a_plain_word_is_no_disguise_because_of_an_accent_elsewhere() -> None:
    assert canonical("the café was run by an idiot", LEXICON).disguised == ()
    assert canonical("the café was run by an \u0456diot", LEXICON).disguised == (("idiot", 23, 28),)


@pytest.mark.parametrize(
    "plain", ["what an IDIOT!", "\u201cidiot\u201d", "*idiot*", "#idiot", "an idiot's guess", "total-idiot"]
)
def test_a_word_that_is_only_loud_quoted_or_joined_is_no_disguise(plain: str) -> None:
    assert canonical(plain, LEXICON).disguised == ()


def test_text_that_is_shown_backwards_is_read_as_it_is_shown() -> None:
    found = canonical("an \u202etoidi\u202c here", LEXICON)
    assert found.text == "an idiot here"
    assert found.disguised == (("idiot", 4, 9),)
    assert found.place(3, 8) == (4, 9)
    assert canonical("\u202egnorw si siht", LEXICON).disguised == ()


def test_a_disguise_inside_a_very_long_word_is_found() -> None:
    glued = "see/" * 20 + "id1ot/" + "me/" * 20
    assert [word for word, *_ in canonical(glued, LEXICON).disguised] == ["idiot"]
    spelled = "x " * 70 + "i d i o t"
    assert canonical(spelled, LEXICON).starts
