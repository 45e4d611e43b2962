from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from services.classical.training.content import ContentVectors
from services.classical.training.dataset import Interactions
from services.classical.training.options import FitOptions
from services.classical.training.protocols.fits import fit_key, fit_once


def test_a_fit_is_done_once_and_a_broken_one_again(circle: Interactions, options: FitOptions, tmp_path: Path) -> None:
    first = fit_once(tmp_path, circle, {}, None, options)
    again = fit_once(tmp_path, circle, {}, None, options)
    assert again.manifest == first.manifest, "created at the same moment"
    (folder,) = (tmp_path / "fits").iterdir()
    (folder / "manifest.json").unlink()
    third = fit_once(tmp_path, circle, {}, None, options)
    assert {one["sha256"] for one in third.manifest["scorers"]} == {one["sha256"] for one in first.manifest["scorers"]}
    scores, _, _ = third.recommender.score(np.array([3, 4]), np.ones(2, np.float32))
    assert scores["markov"].argmax() == 5


def test_whatever_a_fit_depends_on_makes_it_another(circle: Interactions, options: FitOptions) -> None:
    vectors = ContentVectors("text", np.array([0, 1]), np.eye(2, dtype=np.float32))
    keys = [
        fit_key(circle, {}, None, options),
        fit_key(circle.without_newest(1), {}, None, options),
        fit_key(circle, {"content_text": vectors}, None, options),
        fit_key(circle, {"content_text": vectors._replace(vectors=2 * vectors.vectors)}, None, options),
        fit_key(circle, {}, [["a"]] * 20, options),
        fit_key(circle, {}, None, replace(options, seed=2)),
        fit_key(circle, {}, None, replace(options, ease=replace(options.ease, decay=0.1))),
    ]
    assert len(set(keys)) == len(keys)
    assert fit_key(circle, {}, None, options) == keys[0]
