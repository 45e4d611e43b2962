from __future__ import annotations

from services.orchestrator.content.moderation.lexicon import consonants, load_lexicon

LEXICON = load_lexicon()


def test_no_word_is_harmless_and_offensive_at_once() -> None:
    assert not LEXICON.known & LEXICON.offensive
    assert len(LEXICON.known) > 20_000
    assert len(LEXICON.offensive) > 300


def test_endings_make_no_word_unknown_but_an_offensive_one_stays_so() -> None:
    assert LEXICON.knows("wizard")
    assert LEXICON.knows("wizards")
    assert not LEXICON.knows("idiots")
    assert not LEXICON.knows("idiot")
    assert not LEXICON.knows("qzxw")


def test_parts_are_the_offensive_ends_of_a_word_longest_first() -> None:
    assert ("idiot", "xx") in list(LEXICON.parts("xxidiot"))
    assert ("idiot", "xx") in list(LEXICON.parts("idiotxx"))
    assert list(LEXICON.parts("wonderful")) == []
    lengths = [len(part) for part, _ in LEXICON.parts("motherfuckers")]
    assert lengths == sorted(lengths, reverse=True)


def test_consonants_keep_the_first_letter() -> None:
    assert consonants("idiot") == "idt"
    assert consonants("") == ""
    assert "idiot" in LEXICON.by_consonants["idt"]
