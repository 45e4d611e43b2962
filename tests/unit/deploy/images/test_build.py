"""Which image is built from what, and what the user is told when that cannot be."""

from __future__ import annotations

import pytest

from deploy.images.build import DEBOOTSTRAP, Image, choose_base, main, parser, public_base, wanted_images
from deploy.images.engine import Engine, EngineFailed


class Store(Engine):
    """An engine with these images, that can pull nothing."""

    def __init__(self, *images: str, can_pull: bool = False) -> None:
        super().__init__("podman")
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "can_pull", can_pull)

    def has_image(self, image: str) -> bool:
        return image in self.images  # type: ignore[attr-defined]

    def call(self, *arguments: str, timeout: float = 120, accept_failure: bool = False) -> str:
        assert arguments[0] == "pull"
        if not self.can_pull:  # type: ignore[attr-defined]
            raise EngineFailed("podman pull: no route to host")
        return ""


@pytest.mark.parametrize(
    ("image", "name", "lock"),
    [
        (Image("orchestrator"), "r/marquee-orchestrator:1", "orchestrator"),
        (Image("trainer", gpu=True), "r/marquee-trainer:1", "trainer"),
        (Image("text"), "r/marquee-text:1", "text-cpu"),
        (Image("text", gpu=True), "r/marquee-text:1-gpu", "text-gpu"),
        (Image("vision"), "r/marquee-vision:1", "vision-video-cpu"),
        (Image("vision", video=False), "r/marquee-vision:1-no-video", "vision-cpu"),
        (Image("vision", gpu=True, video=False), "r/marquee-vision:1-gpu-no-video", "vision-gpu"),
        (Image("classical", models=False), "r/marquee-classical:1-without-models", "classical-cpu"),
    ],
)
def test_names_and_locks_follow_from_the_variant(image: Image, name: str, lock: str) -> None:
    assert (image.name("r", "1"), image.lock) == (name, lock)


def test_the_engine_is_told_component_port_and_prefix() -> None:
    arguments = Image("text").arguments("base:1", "name", "1", "abc")
    assert {
        "--build-arg=COMPONENT=text", "--build-arg=PORT=50061", "--build-arg=SETTINGS=MARQUEE_TEXT",
        "--build-arg=LOCK=text-cpu", "--build-arg=PYTHON_IMAGE=base:1", "--target=with-models",
    } <= set(arguments)  # fmt: skip
    assert "--target=without-models" in Image("orchestrator").arguments(None, "name", "1", "abc")


def test_everything_is_built_unless_components_are_named() -> None:
    assert len(list(wanted_images(parser().parse_args([])))) == 5
    assert [image.component for image in wanted_images(parser().parse_args(["text"]))] == ["text"]
    assert [image.component for image in wanted_images(parser().parse_args(["--gpu"]))] == ["text", "vision"]


def test_a_component_without_a_gpu_variant_is_refused() -> None:
    with pytest.raises(SystemExit, match="classical has no variant for a GPU"):
        list(wanted_images(parser().parse_args(["classical", "--gpu"])))


def test_the_public_base_comes_first_and_the_debian_one_stands_in() -> None:
    assert choose_base(Store(DEBOOTSTRAP, can_pull=True), "auto") == public_base()
    assert choose_base(Store(DEBOOTSTRAP), "auto") == DEBOOTSTRAP
    assert choose_base(Store(), "registry.example/python:3.11") == "registry.example/python:3.11"


def test_without_any_base_the_way_out_is_named() -> None:
    with pytest.raises(EngineFailed, match=r"no route to host\n.*make base-image"):
        choose_base(Store(), "auto")
    with pytest.raises(EngineFailed, match="make base-image"):
        choose_base(Store(), "debootstrap")


def test_without_an_engine_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.images.engine.shutil.which", lambda _program: None)
    with pytest.raises(SystemExit, match=r"docker is not installed; podman is not installed.*make container-engine"):
        main(["classical"])
