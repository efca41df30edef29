from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from indexer.arrays import FloatArray, IntArray
from indexer.errors import BackendError, InputError, RunError
from neurons.extraction import extract
from neurons.listed_texts import ListedTexts
from neurons.parity import check_parity
from neurons.reading import ExtractionSettings
from neurons.records import LayerSite, Pooling, Site
from neurons.store import ActivationStore
from neurons.subject import SubjectModel

TEXTS = (
    "The battery is very good.",
    "late",
    "",
    "Phone broke again after three days, or not?",
    "I love the screen; sound is loud and fits one case before two weeks",
    "good " * 50,
    "slow!",
    "qxz qxz",
    "a refund or money again",
    "hate it " * 9,
    "\x00",
)
MODULE_AFTER_ACTIVATION = {
    "distilbert": "transformer.layer.{}.ffn.activation",
    "modernbert": "layers.{}.mlp.drop",
}


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def one_at_a_time(
    subject: SubjectModel, family: str, layer_site: LayerSite, text: str
) -> tuple[FloatArray, list[bool]]:
    """Token activations of a single text read with nothing of the extraction engine."""
    encoded = subject.tokenizer(
        text,
        truncation=True,
        max_length=32,
        return_tensors="pt",
        return_special_tokens_mask=True,
    )
    seen: list[Any] = []
    if layer_site.site is Site.FFN:
        path = MODULE_AFTER_ACTIVATION.get(family, "encoder.layer.{}.intermediate")
    elif family == "modernbert":
        path = "layers.{}"
    else:
        path = ""
    handle = (
        subject.model.get_submodule(path.format(layer_site.layer)).register_forward_hook(
            lambda _module, _inputs, output: seen.append(output)
        )
        if path
        else None
    )
    with torch.no_grad():
        output = subject.model(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            output_hidden_states=True,
        )
    if handle is None:
        tokens = output.hidden_states[layer_site.layer + 1]
    else:
        handle.remove()
        tokens = seen[-1]
    return tokens[0].numpy(), (encoded["special_tokens_mask"][0] == 0).tolist()


def pooled_by_hand(tokens: FloatArray, content: list[bool], pooling: Pooling) -> FloatArray:
    kept = tokens[content]
    if pooling is Pooling.CLS or len(kept) == 0:
        return tokens[0]
    result: FloatArray = kept.max(axis=0) if pooling is Pooling.MAX else kept.mean(axis=0)
    return result


@pytest.mark.parametrize("pooling", list(Pooling))
def test_agrees_with_one_sentence_at_a_time(
    pooling: Pooling, family: str, tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    subject = SubjectModel.load(str(tiny_model(family)), "cpu")
    settings = ExtractionSettings(pooling=pooling, token_budget=40, window_sentences=4)
    extract(subject, ListedTexts(TEXTS), tmp_path, settings, "key")
    store = ActivationStore.open(tmp_path)

    assert len(store.layer_sites) == 4
    for layer_site in store.layer_sites:
        expected = np.stack(
            [
                pooled_by_hand(*one_at_a_time(subject, family, layer_site, text), pooling)
                for text in TEXTS
            ]
        )
        np.testing.assert_allclose(
            store.array(layer_site).astype(np.float32),
            expected,
            rtol=2e-3,
            atol=1e-4,
            err_msg=str(layer_site),
        )


def test_the_report_counts_what_was_read(subject: SubjectModel, tmp_path: Path) -> None:
    texts = ListedTexts(["good good good", "bad", "", "late " * 40])
    parity = check_parity(subject)
    settings = ExtractionSettings(token_budget=1000)
    report = extract(subject, texts, tmp_path, settings, "key", parity=parity)

    # With the two special tokens: 5, 3, 2 and 32 of 42 tokens, all in one batch.
    assert report.sentences == 4
    assert report.tokens == 5 + 3 + 2 + 32
    assert report.padded_tokens == 27 + 29 + 30
    assert (report.truncated_sentences, report.truncated_tokens) == (1, 10)
    assert report.sentences_without_content_tokens == 1
    assert report.clipped_values == 0
    manifest = ActivationStore.open(tmp_path).manifest
    assert manifest.report == report
    assert manifest.parity == parity
    assert manifest.layout.key == "key"


def test_numbers_beyond_float16_are_clipped_and_counted(
    subject: SubjectModel, tmp_path: Path
) -> None:
    with torch.no_grad():
        subject.architecture.feed_forwards[1].up.bias[3] = 1e6
        subject.architecture.feed_forwards[1].up.bias[4] = 1e5
    settings = ExtractionSettings(sites=(Site.FFN,))
    report = extract(subject, ListedTexts(["good", "bad sound"]), tmp_path, settings, "key")
    assert report.clipped_values == 4
    array = ActivationStore.open(tmp_path).array(LayerSite(1, Site.FFN))
    assert array[:, 3:5].tolist() == [[65504.0] * 2] * 2


@pytest.mark.parametrize(("value", "word"), [("nan", "NaN"), ("inf", "infinity")])
def test_a_model_that_computes_no_numbers_is_refused_with_neuron_and_sentence(
    value: str, word: str, subject: SubjectModel, tmp_path: Path
) -> None:
    # Only the word "late" makes unit 3 of the second layer something else than a number.
    embeddings = subject.model.get_input_embeddings().weight
    [late] = subject.tokenizer.convert_tokens_to_ids(["late"])
    with torch.no_grad():
        embeddings[late] = 0.0

    def spoil(_module: Any, inputs: tuple[Any, ...]) -> Any:
        tokens = inputs[0].clone()
        tokens[(ids[0] == late), 3] = float(value)
        return (tokens,)

    ids: list[Any] = []

    def remember(_module: Any, _inputs: Any, named: dict[str, Any]) -> None:
        ids[:] = [named["input_ids"]]

    subject.model.register_forward_pre_hook(remember, with_kwargs=True)
    subject.architecture.down_projections[1].register_forward_pre_hook(spoil)
    texts = ListedTexts(["good", "bad sound", "good", "it was late", "fine"])
    settings = ExtractionSettings(window_sentences=2)
    with pytest.raises(BackendError, match=rf"{word} at L1\.ffn\.3 on the sentence in row 3"):
        extract(subject, texts, tmp_path, settings, "key")


@pytest.mark.parametrize("sites", [(Site.FFN,), (Site.HIDDEN,), (Site.HIDDEN, Site.FFN)])
def test_only_the_chosen_sites_are_stored(
    sites: tuple[Site, ...], subject: SubjectModel, tmp_path: Path
) -> None:
    extract(subject, ListedTexts(["good"]), tmp_path, ExtractionSettings(sites=sites), "key")
    expected = subject.architecture.layer_sites(sites)
    assert ActivationStore.open(tmp_path).layer_sites == expected
    assert {path.name for path in tmp_path.glob("*.npy")} == {f"{site}.npy" for site in expected}


def test_a_shorter_maximum_is_kept_to(subject: SubjectModel, tmp_path: Path) -> None:
    settings = ExtractionSettings(maximum_tokens=4)
    report = extract(subject, ListedTexts(["good bad late fast"]), tmp_path, settings, "key")
    assert (report.tokens, report.truncated_tokens) == (4, 2)


def test_a_longer_maximum_than_the_model_reads_is_refused(
    subject: SubjectModel, tmp_path: Path
) -> None:
    settings = ExtractionSettings(maximum_tokens=33)
    with pytest.raises(InputError, match=r"maximum_tokens is 33 but .* reads at most 32"):
        extract(subject, ListedTexts(["good"]), tmp_path, settings, "key")


def test_a_corpus_without_sentences_is_refused(subject: SubjectModel, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sentences"):
        extract(subject, ListedTexts([]), tmp_path, ExtractionSettings(), "key")


class Unreadable(ListedTexts):
    """A corpus whose texts must not be asked for."""

    def texts_at(self, rows: IntArray) -> list[str]:
        raise AssertionError(f"{len(rows)} texts were read again")


def test_a_complete_store_is_kept(subject: SubjectModel, tmp_path: Path) -> None:
    settings = ExtractionSettings()
    first = extract(subject, ListedTexts(TEXTS), tmp_path, settings, "key")
    before = contents(tmp_path)
    assert extract(subject, Unreadable(TEXTS), tmp_path, settings, "key") == first
    assert contents(tmp_path) == before


def test_a_damaged_complete_store_is_told(subject: SubjectModel, tmp_path: Path) -> None:
    extract(subject, ListedTexts(TEXTS), tmp_path, ExtractionSettings(), "key")
    (tmp_path / "L0.ffn.npy").unlink()
    with pytest.raises(RunError, match=r"L0\.ffn\.npy is missing or damaged"):
        extract(subject, ListedTexts(TEXTS), tmp_path, ExtractionSettings(), "key")


def test_another_key_replaces_the_store(subject: SubjectModel, tmp_path: Path) -> None:
    extract(subject, ListedTexts(TEXTS), tmp_path / "again", ExtractionSettings(), "old")
    for name in ("again", "fresh"):
        extract(subject, ListedTexts(TEXTS[:3]), tmp_path / name, ExtractionSettings(), "new")
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh")


def test_the_size_of_the_batches_hardly_matters(subject: SubjectModel, tmp_path: Path) -> None:
    arrays = []
    for budget in (1, 64, 4096):
        folder = tmp_path / str(budget)
        extract(subject, ListedTexts(TEXTS), folder, ExtractionSettings(token_budget=budget), "key")
        arrays.append(ActivationStore.open(folder).array(LayerSite(1, Site.HIDDEN)))
    for array in arrays[1:]:
        np.testing.assert_allclose(
            arrays[0].astype(np.float32), array.astype(np.float32), rtol=2e-3, atol=1e-4
        )


class LittleMemory:
    """Lets a model run only with few sentences at a time, like a small device."""

    def __init__(self, subject: SubjectModel, sentences: int) -> None:
        self._sentences = sentences
        self._handle = subject.model.register_forward_pre_hook(self._check, with_kwargs=True)

    def _check(self, _module: Any, _inputs: Any, named: dict[str, Any]) -> None:
        if len(named["input_ids"]) > self._sentences:
            raise torch.OutOfMemoryError("no memory left")

    def remove(self) -> None:
        self._handle.remove()


def test_batches_are_halved_when_memory_runs_out(
    subject: SubjectModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = extract(subject, ListedTexts(TEXTS), tmp_path / "plain", ExtractionSettings(), "key")
    memory = LittleMemory(subject, 3)
    halved = extract(subject, ListedTexts(TEXTS), tmp_path / "halved", ExtractionSettings(), "key")
    memory.remove()

    assert "out of device memory with 11 sentences" in caplog.text
    assert halved.tokens == plain.tokens
    assert halved.padded_tokens < plain.padded_tokens
    for layer_site in subject.architecture.layer_sites(Site):
        np.testing.assert_allclose(
            ActivationStore.open(tmp_path / "halved").array(layer_site).astype(np.float32),
            ActivationStore.open(tmp_path / "plain").array(layer_site).astype(np.float32),
            rtol=2e-3,
            atol=1e-4,
        )


def test_one_sentence_too_large_for_the_device_is_told(
    subject: SubjectModel, tmp_path: Path
) -> None:
    LittleMemory(subject, 0)
    with pytest.raises(BackendError, match="one sentence of 3 tokens does not fit"):
        extract(subject, ListedTexts(["good"]), tmp_path, ExtractionSettings(), "key")


def test_progress_is_on_stderr_and_only_when_asked(
    subject: SubjectModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = ExtractionSettings()
    extract(subject, ListedTexts(TEXTS), tmp_path / "quiet", settings, "key")
    assert capfd.readouterr() == ("", "")
    extract(subject, ListedTexts(TEXTS), tmp_path / "shown", settings, "key", progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "activations: 100%" in shown.err


@pytest.mark.slow
def test_the_bundled_model_agrees_with_one_sentence_at_a_time(tmp_path: Path) -> None:
    subject = SubjectModel.load("bundled", "cpu")
    texts = ["Where is my card?", "My phone arrived late and the box was open.", "Thanks!"]
    extract(subject, ListedTexts(texts), tmp_path, ExtractionSettings(), "key")
    store = ActivationStore.open(tmp_path)
    assert store.n_neurons == 6 * (1536 + 384)
    for layer_site in (LayerSite(0, Site.FFN), LayerSite(5, Site.FFN), LayerSite(3, Site.HIDDEN)):
        expected = np.stack(
            [
                pooled_by_hand(*one_at_a_time(subject, "bert", layer_site, text), Pooling.MAX)
                for text in texts
            ]
        )
        found = store.array(layer_site).astype(np.float32)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
