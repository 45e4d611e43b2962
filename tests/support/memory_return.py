"""Measures in a process of its own what a model takes and gives back: `python -m tests.support.memory_return`.

Prints resident megabytes before the load, loaded and used (median of six rounds), unloaded (median), and at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from statistics import median

import psutil

from services.runtime.open_inference.tensor_pipeline import TensorPipeline
from services.runtime.repository.memory import give_memory_back
from services.runtime.repository.repository import ModelRepository
from services.text.pipelines.text_vectors import TextVectorPipeline
from services.text.settings import TextSettings

MODEL = "minilm-sentence-vectors"
# Opens, checks and runs everything that stays: libraries, their code, the thread that loads.
WARM_UP = "word-embedding"


def resident_megabytes() -> float:
    """Return the resident memory of this process."""
    return float(psutil.Process().memory_info().rss / 1e6)


async def measure(root: Path) -> dict[str, float]:
    """Load, use and unload the model."""
    factories = dict.fromkeys(("sentence-vectors", "word-vectors"), TextVectorPipeline)
    models = ModelRepository(root, factories=factories, tensors=TensorPipeline, wanted="cpu")
    await models.start()
    await models.unload(MODEL)
    await models.unload(WARM_UP)
    await models.load(WARM_UP)
    give_memory_back()
    before, loaded, unloaded = resident_megabytes(), [], []
    for _ in range(6):
        await models.load(MODEL)
        serving = models.ready(MODEL)
        assert serving is not None
        assert isinstance(serving.pipeline, TextVectorPipeline)
        for _run in range(3):
            prepared = serving.pipeline.prepare(["A retired detective returns for one last case."] * 32)
            await asyncio.to_thread(serving.pipeline.run, prepared.batches[0])
        del serving, prepared
        loaded.append(resident_megabytes())
        await models.unload(MODEL)
        unloaded.append(resident_megabytes())
    await models.close()
    # A thread of a library may hold a few megabytes for a moment: one round alone says too little.
    return {"before": before, "loaded": median(loaded), "unloaded": median(unloaded), "at_last": unloaded[-1]}


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else TextSettings().model_repository
    measured = {name: round(value, 1) for name, value in asyncio.run(measure(chosen)).items()}
    sys.stdout.write(json.dumps(measured) + "\n")
