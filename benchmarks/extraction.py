"""How long sentences take to become activations, FFN units and hidden units.

Five things are timed in turns, on one part of the sentences after the other, so that a busy machine
slows all of them: a large matrix product (what the machine can do), the bare model on the batches
of the extraction, the extraction in float32 and in bfloat16, and the way of toolkits that read one
sentence a pass and write all hidden states, on a few sentences of each part.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpora import sentences
from benchmarks.processes import watch
from benchmarks.records import Measurement
from neurons.listed_texts import ListedTexts
from neurons.subject_files import Precision

if TYPE_CHECKING:
    import torch

    from neurons.reading import ExtractionSettings
    from neurons.store import ActivationStore, ExtractionReport
    from neurons.subject import SubjectModel

SENTENCES = 20_000

_RESULT = "extraction.json"
_MATRIX = 2_048
_SINGLE_SENTENCES = 100
_TURN_SENTENCES = 4_096


def measure(workspace: Path) -> list[Measurement]:
    """Seconds of an extraction in a process of its own, and its ratios to the three others."""
    watch([sys.executable, "-m", "benchmarks.extraction", "turns", str(workspace)])
    found = json.loads((workspace / _RESULT).read_text(encoding="utf-8"))
    return [
        Measurement.of("extraction.seconds", found["seconds"], "s", goal="<= 90"),
        Measurement.of(
            "extraction.speed",
            found["tokens"] / found["seconds"],
            "tokens/s",
            against="bare forward pass of the same batches",
            reference=found["tokens"] / found["bare_seconds"],
        ),
        Measurement.of(
            "extraction.share_of_bare", found["bare_seconds"] / found["seconds"], "", goal=">= 0.85"
        ),
        Measurement.of(
            "extraction.useful_share_of_matrix_product",
            found["useful_rate"] / found["matrix_rate"],
            "",
            goal=">= 0.60",
        ),
        Measurement.of(
            "extraction.times_one_sentence_a_pass",
            found["sentences_a_second"] / found["single_sentences_a_second"],
            "",
            goal=">= 6",
        ),
        Measurement.of(
            "extraction.bfloat16_speed",
            found["tokens"] / found["bfloat16_seconds"],
            "tokens/s",
            against="float32",
            reference=found["tokens"] / found["seconds"],
        ),
        Measurement.of(
            "extraction.bfloat16_least_correlation", found["least_correlation"], "with float32"
        ),
        Measurement.of("extraction.matrix_product", found["matrix_rate"] / 1e9, "GFLOP/s"),
        Measurement.of("extraction.padding", found["padding"], "of all tokens"),
    ]


def useful_work(subject: SubjectModel) -> float:
    """Floating-point operations a real token costs in the linear layers of the blocks."""
    from torch import nn

    sizes = [
        module.in_features * module.out_features
        for block in subject.architecture.blocks
        for module in block.modules()
        if isinstance(module, nn.Linear)
    ]
    return 2.0 * sum(sizes)


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int, repeats: int) -> float:
    """Operations a second of a product of two square matrices, after one to warm up."""
    import torch

    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def multiplied(times: int) -> None:
        for _ in range(times):
            one @ other
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    multiplied(1)
    began = time.perf_counter()
    multiplied(repeats)
    return repeats * 2.0 * size**3 / (time.perf_counter() - began)


@dataclass
class Turns:
    """What each of the four took on the same sentences, turn after turn."""

    seconds: float = 0.0
    bare_seconds: float = 0.0
    bfloat16_seconds: float = 0.0
    single_seconds: float = 0.0
    singles: int = 0
    matrix_rates: list[float] = field(default_factory=list)
    correlations: list[float] = field(default_factory=list)
    report: ExtractionReport | None = None

    def take(
        self,
        subject: SubjectModel,
        texts: list[str],
        settings: ExtractionSettings,
        folder: Path,
    ) -> None:
        """Let each have `texts` once."""
        import torch

        from neurons.extraction import extract
        from neurons.store import ActivationStore

        self.matrix_rates.append(matrix_rate(subject.device, torch.float32, _MATRIX, 3))
        self.bare_seconds += bare_forward(subject, texts, settings)
        began = time.perf_counter()
        report = extract(subject, ListedTexts(texts), folder, settings, key="benchmark")
        self.seconds += time.perf_counter() - began
        self.report = report if self.report is None else self.report.plus(report)
        rough = replace(subject.source, precision=Precision.BFLOAT16, loaded=None).load()
        began = time.perf_counter()
        extract(rough, ListedTexts(texts), folder / "bfloat16", settings, key="benchmark")
        self.bfloat16_seconds += time.perf_counter() - began
        exact, other = ActivationStore.open(folder), ActivationStore.open(folder / "bfloat16")
        self.correlations.append(least_correlation(exact, other))
        singles = texts[:: max(1, len(texts) // _SINGLE_SENTENCES)]
        self.single_seconds += one_sentence_a_pass(subject, singles, folder / "single.hdf5")
        self.singles += len(singles)
        self.matrix_rates.append(matrix_rate(subject.device, torch.float32, _MATRIX, 3))


def least_correlation(one: ActivationStore, other: ActivationStore) -> float:
    """The least correlation of a neuron with itself in another store, constant ones left out."""
    import numpy as np

    least = 1.0
    for place in one.layer_sites:
        units = [
            store.array(place).astype(np.float64) - store.array(place).mean(axis=0, dtype=float)
            for store in (one, other)
        ]
        products = np.einsum("ij,ij->j", *units)
        lengths = np.linalg.norm(units[0], axis=0) * np.linalg.norm(units[1], axis=0)
        least = min(least, float((products[lengths > 0] / lengths[lengths > 0]).min()))
    return least


def bare_forward(
    subject: SubjectModel, texts: Sequence[str], settings: ExtractionSettings
) -> float:
    """Seconds the model alone takes for the batches in which `texts` are extracted."""
    import torch

    from indexer.batching import batches
    from neurons.batching import padded
    from neurons.reading import token_budget, tokenized

    pieces = tokenized(subject, texts, settings)
    seconds = 0.0
    with torch.inference_mode():
        for positions in batches(pieces.lengths, token_budget(subject, settings)):
            batch = padded(subject, [pieces.pieces[position] for position in positions])
            began = time.perf_counter()
            subject.model(**batch.inputs)
            seconds += time.perf_counter() - began
    return seconds


def one_sentence_a_pass(subject: SubjectModel, texts: Sequence[str], path: Path) -> float:
    """Seconds of reading each text alone and writing all its hidden states to an HDF5 file."""
    import h5py
    import numpy as np
    import torch

    began = time.perf_counter()
    with torch.no_grad(), h5py.File(path, "w") as file:
        for number, text in enumerate(texts):
            encoded = subject.tokenizer(text, return_tensors="pt", truncation=True).to(
                subject.device
            )
            output = subject.model(**encoded, output_hidden_states=True)
            states = np.stack([layer[0].cpu().numpy() for layer in output.hidden_states])
            file.create_dataset(str(number), data=states)
    return time.perf_counter() - began


def ensure_store(workspace: Path) -> Path:
    """The activations of `SENTENCES` sentences, extracted unless that was done before."""
    folder = workspace / "activations"
    if not (folder / "manifest.json").exists():
        watch([sys.executable, "-m", "benchmarks.extraction", "store", str(workspace)])
    return folder


def _take_turns(workspace: Path) -> None:
    import numpy as np

    from neurons.reading import ExtractionSettings
    from neurons.subject import SubjectModel

    texts = sentences(workspace, SENTENCES)
    subject = SubjectModel.load("bundled", "cpu")
    settings = ExtractionSettings()
    bare_forward(subject, texts[:200], settings)  # The first pass warms up torch.
    turns = Turns()
    for first in range(0, len(texts), _TURN_SENTENCES):
        part = texts[first : first + _TURN_SENTENCES]
        turns.take(subject, part, settings, workspace / f"turn-{first}")
        shutil.rmtree(workspace / f"turn-{first}")
    report = turns.report
    assert report is not None
    result = {
        "seconds": turns.seconds,
        "bare_seconds": turns.bare_seconds,
        "bfloat16_seconds": turns.bfloat16_seconds,
        "least_correlation": min(turns.correlations),
        "tokens": report.tokens,
        "padding": report.padded_tokens / (report.tokens + report.padded_tokens),
        "useful_rate": report.tokens * useful_work(subject) / turns.seconds,
        "matrix_rate": float(np.median(turns.matrix_rates)),
        "sentences_a_second": report.sentences / turns.seconds,
        "single_sentences_a_second": turns.singles / turns.single_seconds,
    }
    (workspace / _RESULT).write_text(json.dumps(result), encoding="utf-8")


def _make_store(workspace: Path) -> None:
    from neurons.extraction import extract
    from neurons.reading import ExtractionSettings
    from neurons.records import Site
    from neurons.subject import SubjectModel

    subject = SubjectModel.load("bundled", "cpu")
    settings = ExtractionSettings(sites=(Site.FFN,))
    texts = ListedTexts(sentences(workspace, SENTENCES))
    extract(subject, texts, workspace / "activations", settings, key="benchmark")


if __name__ == "__main__":
    {"turns": _take_turns, "store": _make_store}[sys.argv[1]](Path(sys.argv[2]))
