"""Writes the word list of the orchestrator's disguise reader: `python -m services.text.training.moderation.lexicon`.

Known words are those of the toxicity SVM and the whole words of the MiniLM tokeniser, and those words of a dictionary
and family names that could be mistaken for a disguise ("banal", "spoof", "Cockburn"); offensive ones are those that the
SVM weighs heavily or the published word list calls severe.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tokenizers import Tokenizer

from services.runtime.training.comment_svm import load_svm
from services.text.training import minilm
from services.text.training.moderation.lookalikes import lookalikes
from services.text.training.moderation.teacher import Teacher
from services.text.training.moderation.word_list import load_word_list

TARGET = Path(__file__).resolve().parents[3] / "orchestrator" / "content" / "moderation" / "words.json.gz"
TAGS = {"general", "sexual", "shock", "racial", "lgbtq", "religious"}


def main() -> None:
    """Writes the file; the same sources give the same bytes."""
    svm, listed = load_svm(), load_word_list()
    teacher = Teacher(svm, listed)
    vocabulary = Tokenizer.from_str(minilm.load_original().tokenizer_json.decode()).get_vocab()
    whole = {word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 1}
    severe = {word.lower() for word in listed.single_words(TAGS, 3) if word.isascii()}
    offensive = {word for word in teacher.heavy_words() if word.isascii() and word.isalpha()} | severe
    known = {word for word in svm.words if word.isascii() and word.isalpha()} | svm.stop_words | whole
    known |= lookalikes(offensive, teacher)
    content = json.dumps({"offensive": sorted(offensive), "known": sorted(known - offensive)}, separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(content.encode(), mtime=0))
    print(f"{len(offensive)} offensive and {len(known)} known words, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
