"""How busy a GPU is while a model of BERT-base's shape is extracted in bfloat16.

Weights are random: the time does not depend on them. The rate of one large matrix product, measured
in the same process, stands for what the GPU can do.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.extraction import matrix_rate, useful_work
from benchmarks.processes import watch
from benchmarks.records import Measurement
from neurons.listed_texts import ListedTexts

_RESULT = "gpu.json"
_TOKENS = 128
_SENTENCES = 16_384
_MATRIX = 8_192


def available() -> bool:
    """Whether there is a GPU to measure."""
    import torch

    return torch.cuda.is_available()


def measure(workspace: Path) -> list[Measurement]:
    """Tokens a second, and useful arithmetic as a share of the matrix product's."""
    watch([sys.executable, "-m", "benchmarks.gpu", str(workspace)])
    found = json.loads((workspace / _RESULT).read_text(encoding="utf-8"))
    return [
        Measurement.of("gpu.tokens_a_second", found["tokens_a_second"], "tokens/s"),
        Measurement.of("gpu.matrix_product", found["matrix_rate"] / 1e12, "TFLOP/s"),
        Measurement.of(
            "gpu.useful_share_of_matrix_product",
            found["useful_rate"] / found["matrix_rate"],
            "",
            goal=">= 0.40",
        ),
    ]


def model_folder(folder: Path) -> Path:
    """A model of BERT-base's shape with random weights and the bundled model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from indexer.bundled import bundled_model_path

    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(bundled_model_path())
        tokenizer.model_max_length = _TOKENS
        tokenizer.save_pretrained(folder)
        BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    return folder


def texts(n_sentences: int) -> ListedTexts:
    """Texts of `_TOKENS` tokens and more, all different."""
    words = ("battery", "price", "delivery", "screen", "late", "good", "phone", "refund")
    return ListedTexts(
        [
            " ".join(words[(number + place * (1 + number % 5)) % 8] for place in range(_TOKENS))
            for number in range(n_sentences)
        ]
    )


def _work(workspace: Path, device: str = "cuda", n_sentences: int = _SENTENCES) -> None:
    import torch

    from neurons.extraction import extract
    from neurons.reading import ExtractionSettings
    from neurons.subject import SubjectModel
    from neurons.subject_files import Precision

    precision = Precision.BFLOAT16
    subject = SubjectModel.load(
        str(model_folder(workspace / "bert-base")), device, precision=precision
    )
    settings = ExtractionSettings(precision=precision)
    extract(subject, texts(256), workspace / "warm", settings, key="benchmark")
    rate = matrix_rate(subject.device, torch.bfloat16, _MATRIX if device == "cuda" else 512, 10)
    began = time.perf_counter()
    report = extract(subject, texts(n_sentences), workspace / "gpu", settings, key="benchmark")
    seconds = time.perf_counter() - began
    result = {
        "tokens_a_second": report.tokens / seconds,
        "useful_rate": report.tokens * useful_work(subject) / seconds,
        "matrix_rate": rate,
    }
    (workspace / _RESULT).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
