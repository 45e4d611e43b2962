"""A fit learns, goes on where it was cut off, and its changes of pictures keep what they must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from services.vision.training.vision_transformer import augmentation
from services.vision.training.vision_transformer.fitting import FittingOptions, Pictures, fit
from services.vision.training.vision_transformer.network import NetworkShape, VisionTransformer

SHAPE = NetworkShape(side=8, classes=2, stem=((8, 3, 2),), dimensions=16, blocks=1, heads=2)
OPTIONS = FittingOptions(epochs=4, rate=5e-3, batch=16, average_steps=10)


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_DATA_DIRECTORY", str(tmp_path))


def halves(count: int, seed: int) -> Pictures:
    """Pictures that are brighter above (0) or below (1)."""
    random = np.random.default_rng(seed)
    classes = random.integers(0, 2, count)
    pixels = random.integers(0, 100, (count, 8, 8, 3))
    for row, each in enumerate(classes):
        pixels[row, 4 * each : 4 * each + 4] += 100
    return Pictures(pixels.astype(np.uint8), classes)


def network() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(SHAPE, 100.0, 60.0)


def test_a_fit_learns_what_tells_two_classes_apart() -> None:
    found = fit(network(), halves(320, 0), halves(64, 1), OPTIONS, augmentation.screenshots, "halves")

    assert found > 0.95


def test_a_fit_that_was_cut_off_goes_on_to_the_same_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, other = halves(160, 0), halves(32, 1)
    whole = network()
    fit(whole, data, other, OPTIONS, augmentation.clothes, "halves")
    monkeypatch.setenv("MARQUEE_DATA_DIRECTORY", str(tmp_path / "other"))
    stops = iter([None, None])

    def cut_off(*_: object) -> float:
        next(stops)
        return 0.5

    with monkeypatch.context() as patched:
        patched.setattr("services.vision.training.vision_transformer.fitting.accuracy", cut_off)
        with pytest.raises(StopIteration):
            fit(network(), data, other, OPTIONS, augmentation.clothes, "halves")
    capsys.readouterr()
    resumed = network()
    fit(resumed, data, other, OPTIONS, augmentation.clothes, "halves")

    assert "epoch 4" in capsys.readouterr().out
    for expected, found in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(expected, found, atol=1e-5)


def test_shifted_pictures_keep_their_size_and_take_in_black() -> None:
    white = torch.full((200, 6, 6, 3), 255, dtype=torch.uint8)

    moved = augmentation.shifted(white, 2, torch.Generator().manual_seed(0))

    assert moved.shape == white.shape
    # Moved by two pixels both ways, 16 of 36 are left.
    assert int((moved[..., 0] > 0).sum((1, 2)).min()) == 16
    assert int((moved[..., 0] > 0).sum((1, 2)).max()) == 36


def test_half_of_the_pictures_are_mirrored() -> None:
    ramp = torch.arange(6, dtype=torch.uint8).repeat(400, 6, 1)[..., None]

    changed = augmentation.mirrored(ramp, torch.Generator().manual_seed(0))

    assert 150 < int((changed[:, 0, 0, 0] == 5).sum()) < 250


def test_half_of_the_pictures_get_one_black_square() -> None:
    white = torch.full((400, 12, 12, 1), 255, dtype=torch.uint8)

    changed = augmentation.erased(white, 4, torch.Generator().manual_seed(0))

    black = (changed[..., 0] == 0).sum((1, 2))
    assert 150 < int((black > 0).sum()) < 250
    assert int(black.max()) == 16
    assert bool((white == 255).all())


def test_zoomed_and_recoloured_pictures_change_a_little() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.from_numpy(halves(50, 0).pixels)

    zoomed = augmentation.zoomed(pixels, 0.1, generator)
    recoloured = augmentation.recoloured(pixels, 0.2, generator)

    assert zoomed.dtype == recoloured.dtype == torch.uint8
    assert zoomed.shape == recoloured.shape == pixels.shape
    assert torch.unique(zoomed).numel() <= torch.unique(pixels).numel()
    change = (recoloured.float() - pixels.float()).abs().mean()
    assert 2 < float(change) < 40
