from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import BackendError, InputError
from neurons.parity import TOLERANCES, check_parity
from neurons.reading import ExtractionSettings, LongTexts, read, tokenized
from neurons.records import Pooling, Site
from neurons.subject import SubjectModel
from neurons.subject_files import Precision

TEXTS = [
    "The battery is very good.",
    "late",
    "",
    "Phone broke again after three days, or not?",
    *["good bad late fast"] * 20,
    *["slow box"] * 9,
]


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def test_replicas_read_what_one_model_reads(subject: SubjectModel) -> None:
    settings = ExtractionSettings(token_budget=24)
    sites = subject.architecture.layer_sites(Site)
    texts = tokenized(subject, TEXTS, settings)
    alone = read([subject], texts, sites, settings)
    replicas = [subject, *(subject.copied_to(torch.device("cpu")) for _ in range(2))]
    begun: list[int] = []
    together = read(replicas, texts, sites, settings, watch=begun.append)
    assert together.activations.tobytes() == alone.activations.tobytes()
    assert together.report == alone.report
    assert sum(begun) == len(TEXTS)
    assert len(begun) > 5
    for replica in replicas:
        assert not any(module._forward_hooks for module in replica.model.modules())
        assert not any(module._forward_pre_hooks for module in replica.model.modules())


def test_an_error_on_one_replica_ends_the_reading(subject: SubjectModel) -> None:
    settings = ExtractionSettings(token_budget=24)
    broken = subject.copied_to(torch.device("cpu"))
    with torch.no_grad():
        broken.architecture.feed_forwards[0].up.bias[1] = float("nan")
    texts = tokenized(subject, TEXTS, settings)
    sites = subject.architecture.layer_sites(Site)
    with pytest.raises(BackendError, match=r"NaN at L0\.ffn\.1"):
        read([broken, broken.copied_to(torch.device("cpu"))], texts, sites, settings)


@pytest.mark.parametrize("pooling", list(Pooling))
def test_windows_agree_with_reading_each_window_alone(
    pooling: Pooling, subject: SubjectModel
) -> None:
    words = ["good", "bad", "late", "fast", "again", "loud", "sound", "case", "phone", "money"]
    settings = ExtractionSettings(
        maximum_tokens=10, long_texts=LongTexts.WINDOW, pooling=pooling, sites=(Site.FFN,)
    )
    sites = subject.architecture.layer_sites((Site.FFN,))
    found = read(
        [subject], tokenized(subject, [" ".join(words)], settings), sites, settings
    ).activations[0]

    def tokens(part: list[str]) -> np.ndarray:
        """FFN activations of the words, read without the extraction (`n_words, n_units`)."""
        seen: list[torch.Tensor] = []
        handles = [
            layer.intermediate.register_forward_hook(lambda _m, _i, out: seen.append(out[0, 1:-1]))
            for layer in subject.model.encoder.layer
        ]
        with torch.no_grad():
            subject.model(**subject.tokenizer(" ".join(part), return_tensors="pt"))
        for handle in handles:
            handle.remove()
        return torch.cat(seen, dim=1).numpy()

    # Eight words fit beside the special tokens; the second window begins with two of them again.
    first, second = tokens(words[:8]), tokens(words[6:])[2:]
    every = np.concatenate([first, second])
    if pooling is Pooling.CLS:
        return  # CLS reads the first window only, which the other tests cover.
    expected = every.max(axis=0) if pooling is Pooling.MAX else every.mean(axis=0)
    np.testing.assert_allclose(found.astype(np.float32), expected, rtol=4e-3, atol=1e-4)


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.FLOAT16])
def test_lower_precision_is_near_float32_and_says_how_near(
    precision: Precision, tiny_model: Callable[[str], Path]
) -> None:
    name = str(tiny_model("bert"))
    exact = SubjectModel.load(name, "cpu")
    rough = SubjectModel.load(name, "cpu", precision=precision)
    assert {weight.dtype for weight in rough.model.parameters()} == {getattr(torch, precision)}
    settings = ExtractionSettings(precision=precision)
    sites = exact.architecture.layer_sites(Site)
    expected, found = (
        read([model], tokenized(model, TEXTS, settings), sites, settings).activations
        for model in (exact, rough)
    )
    scale = np.abs(expected.astype(np.float32)).max()
    assert 0 < np.abs(found.astype(np.float32) - expected.astype(np.float32)).max() < 0.1 * scale
    report = check_parity(rough)
    assert report.passed
    assert report.tolerance == TOLERANCES[precision]
    assert report.float32_difference is not None
    assert 0 < report.float32_difference < 0.1
    assert check_parity(exact).float32_difference is None


def test_a_source_loads_the_same_model_elsewhere_and_no_other(
    subject: SubjectModel, tiny_model: Callable[[str], Path]
) -> None:
    assert subject.source.load() is subject
    elsewhere = replace(subject.source, loaded=None)
    assert elsewhere.load().fingerprint == subject.fingerprint
    assert elsewhere == subject.source
    with pytest.raises(BackendError, match="is not the one that was asked for"):
        replace(elsewhere, fingerprint="other").load()


def test_a_longer_maximum_than_the_model_reads_is_refused(subject: SubjectModel) -> None:
    with pytest.raises(InputError, match="maximum_tokens is 33"):
        tokenized(subject, ["good"], ExtractionSettings(maximum_tokens=33))
