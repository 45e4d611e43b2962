"""Options that all texts share, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from marquee.entertainment.v1 import writing_service_pb2 as pb
from services.orchestrator.catalog.item_checks import LOCALE
from services.orchestrator.content.writing.templates import Style
from services.runtime.errors import FieldViolation, InvalidRequest
from services.runtime.validation import Violations

FEWEST_CHARACTERS, DEFAULT_CHARACTERS, MOST_CHARACTERS = 40, 400, 2_000
LONGEST_MODEL = 128
_LONGEST_LOCALE = 35
_STYLES: dict[int, Style] = {
    pb.WRITING_STYLE_UNSPECIFIED: "plain",
    pb.WRITING_STYLE_PLAIN: "plain",
    pb.WRITING_STYLE_WARM: "warm",
    pb.WRITING_STYLE_LIVELY: "lively",
}
_KIND = re.compile(r"[A-Za-z][A-Za-z -]{0,39}")


@dataclass(frozen=True)
class Wording:
    """How a text is to be written.

    Attributes:
        style: how it sounds.
        most_characters: longest text, 40 to 2,000.
        rephrase: whether a language model may put it into other words.
        seed: decides every choice.
        model: decoder that rephrases; empty for the default one.
        kind: what the items are; empty when the caller does not say.
    """

    style: Style = "plain"
    most_characters: int = DEFAULT_CHARACTERS
    rephrase: bool = False
    seed: int = 0
    model: str = ""
    kind: str = ""


def read_wording(check: Violations, options: pb.WritingOptions) -> Wording:
    """Return the options; what is bad is added to the violations.

    Raises:
        InvalidRequest: with the reason UNSUPPORTED_LANGUAGE for a language that nothing is written in.
    """
    if options.style not in _STYLES:
        check.add("options.style", f"is {options.style}, which is no style that this version knows")
    if options.rephrase not in pb.Rephrase.values():
        check.add("options.rephrase", f"is {options.rephrase}, which is no wish that this version knows")
    most = check.size(
        "options.max_characters", options.max_characters, default=DEFAULT_CHARACTERS, maximum=MOST_CHARACTERS
    )
    if 0 < options.max_characters < FEWEST_CHARACTERS:
        check.add("options.max_characters", f"is {options.max_characters}; the least is {FEWEST_CHARACTERS}")
    check.text("options.model", options.model, minimum=0, maximum=LONGEST_MODEL)
    if options.kind and not _KIND.fullmatch(options.kind):
        check.add("options.kind", 'is no noun of at most 40 letters and spaces, such as "film" or "game"')
    _check_locale(check, options.locale)
    return Wording(
        style=_STYLES.get(options.style, "plain"),
        most_characters=most,
        rephrase=options.rephrase == pb.REPHRASE_IF_FAITHFUL,
        seed=options.seed,
        model=options.model,
        kind=options.kind.strip(),
    )


def _check_locale(check: Violations, locale: str) -> None:
    if not locale:
        return
    if len(locale) > _LONGEST_LOCALE or not LOCALE.fullmatch(locale):
        check.add("options.locale", 'is no BCP 47 tag of at most 35 characters, such as "en" or "en-GB"')
    elif locale.lower().partition("-")[0] != "en":
        raise InvalidRequest(
            [FieldViolation("options.locale", f"is {locale!r}; texts are written in English only")],
            reason="UNSUPPORTED_LANGUAGE",
        )
