"""Rebuilds the committed text models: `python -m services.text.training [--model NAME] [--output DIRECTORY]`.

Fetches the published weights, exports, quantises, measures parity against them, writes the version folders, and prints
the parity table. Exits with status 1 when a model misses its limits; that model is not written. Takes about 6
minutes on two cores without `minilm-understanding`, which takes 40 more, and the two language models, which take 10
each; these three read GoEmotions from MARQUEE_GOEMOTIONS_DIRECTORY. The same machine writes the same bytes again;
another kind of CPU sums in another order, which may move a rounded weight by one step, and the end of a fit by more.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from services.runtime.training.publish import publish_version
from services.text.training.language_model.version import build_decoder, build_recurrent_model
from services.text.training.minilm_version import build_sentence_vectors
from services.text.training.sentiment.transformer_version import build_sentiment_transformer
from services.text.training.sentiment.version import build_recurrent, build_word_embedding_sentiment
from services.text.training.understanding.version import build_understanding
from services.text.training.version import Version
from services.text.training.word_embedding_version import build_word_embedding

MODELS = Path(__file__).resolve().parents[1] / "models"
BUILDERS: Mapping[str, Callable[[], Version]] = {
    "word-embedding": build_word_embedding,
    "minilm-sentence-vectors": build_sentence_vectors,
    "word-embedding-sentiment": build_word_embedding_sentiment,
    "recurrent-sentiment": build_recurrent,
    "minilm-understanding": build_understanding,
    "recurrent-language-model": build_recurrent_model,
    "decoder-language-model": build_decoder,
    "minilm-sentiment": build_sentiment_transformer,
}


def main() -> None:
    """Builds the chosen models; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m services.text.training", description=__doc__)
    parser.add_argument("--model", choices=sorted(BUILDERS), help="build only this one")
    parser.add_argument("--output", type=Path, default=MODELS, help="model repository to write into (%(default)s)")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="(torch|copyreg)")
    passed = True
    for name in [options.model] if options.model else BUILDERS:
        version = BUILDERS[name]()
        print(f"{name:26s} {version.summary}  {'passed' if version.passed else 'FAILED'}", flush=True)
        passed &= version.passed
        if version.passed:
            folder = options.output / name / str(version.manifest["version"])
            publish_version(folder, version.manifest, version.graph, version.files, version.golden_cases, version.card)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
