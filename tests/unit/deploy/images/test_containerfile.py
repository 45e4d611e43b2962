"""The Containerfile's promises that need no container engine to check."""

from __future__ import annotations

import re
import subprocess

import pytest

from deploy.images.build import COMPONENTS, CONTAINERFILE, FAMILIES, LOCKS, Image, public_base
from deploy.images.engine import REPOSITORY

TEXT = re.sub(r"\\\n\s*", " ", CONTAINERFILE.read_text())
INSTRUCTIONS = [
    (word, rest.strip())
    for word, _, rest in (line.partition(" ") for line in TEXT.splitlines() if line and not line.startswith("#"))
]


def arguments_of(instruction: str) -> list[str]:
    return [rest for word, rest in INSTRUCTIONS if word == instruction]


def committed(path: str) -> bool:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", path]
    return bool(subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)


def test_the_default_base_is_pinned_by_digest() -> None:
    assert re.fullmatch(r"docker\.io/library/python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", public_base())


def test_every_stage_starts_from_the_pinned_base_another_stage_or_nothing() -> None:
    stages = [re.fullmatch(r"(\S+) AS (\S+)", line) for line in arguments_of("FROM")]
    assert all(stages)
    names = {stage[2] for stage in stages if stage}
    assert {stage[1] for stage in stages if stage} <= names | {"scratch", "${PYTHON_IMAGE}"}


def test_the_user_is_numeric_and_not_root() -> None:
    assert arguments_of("USER") == ["65532:65532"]


def test_nothing_is_fetched_from_an_address() -> None:
    assert not arguments_of("ADD")
    assert not re.search(r"https?://|curl |wget ", TEXT)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_copied_source_exists(component: str) -> None:
    image = Image(component)
    values = {"COMPONENT": component, "LOCK": image.lock}
    for rest in arguments_of("COPY"):
        words = [word for word in rest.split() if not word.startswith("--")]
        if "--from=" in rest or ("/models" in rest and component not in FAMILIES):
            continue
        for source in words[:-1]:
            path = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], source)
            assert committed(path), f"{component}: {path} is not in the repository"


def test_the_last_stage_has_nothing_of_the_builder_but_three_folders() -> None:
    copied = [rest.split()[-2] for rest in arguments_of("COPY") if "--from=builder" in rest]
    assert copied == ["/system", "/opt/marquee", "/data"]


def test_no_setting_of_an_index_is_written_down() -> None:
    for path in (REPOSITORY / "deploy" / "images").rglob("*"):
        if path.suffix in {".sh", ".py", ".txt", ".in"} or path.name == "Containerfile":
            assert not re.search(r"index-url|trusted-host|pip\.conf", path.read_text()), path


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("component", COMPONENTS)
def test_each_image_takes_a_lock_with_at_most_one_engine(component: str, gpu: bool) -> None:
    for image in (Image(component, gpu=gpu), Image(component, gpu=gpu, video=False)):
        lock = (LOCKS / f"{image.lock}.txt").read_text()
        engines = set(re.findall(r"^(onnxruntime(?:-gpu)?)==", lock, re.MULTILINE))
        expected = {"onnxruntime-gpu"} if image.on_gpu else set() if component == "orchestrator" else {"onnxruntime"}
        assert engines == expected
        assert not re.search(r"^(torch|transformers)==", lock, re.MULTILINE)
        assert bool(re.search(r"^av==", lock, re.MULTILINE)) == (component == "vision" and image.video)
