from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.arrays import FloatArray
from indexer.bundled import bundled_model_path
from indexer.encoder import SentenceEncoder, embed_sentences
from indexer.errors import BackendError, InputError

SENTENCES = [
    "The battery lasts two days.",
    "Battery life is excellent, I charge it every other day.",
    "The parcel arrived a week late.",
    "Tastes like cardboard!",
    "",
    "Größe passt, Farbe nicht — 很好 🙂",
]


@pytest.fixture(scope="module")
def bundled() -> SentenceEncoder:
    return SentenceEncoder.load("bundled", "cpu")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuse every connection, and list the attempts."""
    attempts: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        attempts.append(str(arguments))
        raise OSError("this test allows no network")

    # Offline mode would refuse by itself, and hide an attempt.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    return attempts


@pytest.fixture
def copied_model(tmp_path: Path) -> Path:
    """The bundled model as a folder whose small files may be changed."""
    folder = tmp_path / "model"
    shutil.copytree(
        bundled_model_path(), folder, ignore=shutil.ignore_patterns("model.safetensors", "*.md")
    )
    (folder / "model.safetensors").symlink_to(bundled_model_path() / "model.safetensors")
    return folder


def mean_pooled_by_hand(texts: list[str], max_tokens: int = 256) -> FloatArray:
    """One text at a time through plain transformers: masked mean of the last layer, length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(bundled_model_path())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    vectors = []
    with torch.inference_mode():
        for text in texts:
            inputs = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
            mean = model(**inputs).last_hidden_state[0].mean(dim=0).numpy()
            vectors.append(mean / np.linalg.norm(mean))
    return np.stack(vectors)


def test_bundled_vectors_are_unit_mean_pooled_bert_outputs(bundled: SentenceEncoder) -> None:
    vectors = bundled.encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, mean_pooled_by_hand(SENTENCES), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_text_is_cut_at_the_256_tokens_of_the_model_and_counted(bundled: SentenceEncoder) -> None:
    # Two special tokens leave room for 254 words of one token each.
    fits, too_long = "good " * 254, "good " * 255
    texts = [fits, too_long, "good", too_long + "bad " * 100]
    assert bundled.count_truncated(texts) == 2
    vectors = bundled.encode(texts)
    np.testing.assert_allclose(vectors, mean_pooled_by_hand(texts), atol=2e-6)
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-6)


def test_meaning_orders_similarities(bundled: SentenceEncoder) -> None:
    similarities = bundled.encode(SENTENCES[:1]) @ bundled.encode(SENTENCES[1:4]).T
    assert similarities.argmax() == 0


def test_same_call_gives_same_bytes(bundled: SentenceEncoder) -> None:
    assert bundled.encode(SENTENCES).tobytes() == bundled.encode(SENTENCES).tobytes()


def test_order_of_texts_is_kept(bundled: SentenceEncoder) -> None:
    backwards = bundled.encode(SENTENCES[::-1])[::-1]
    np.testing.assert_allclose(bundled.encode(SENTENCES), backwards, atol=2e-6)


def test_texts_of_many_lengths_are_told_apart_in_batches_of_like_length(
    bundled: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["good " * (1 + number % 7) + SENTENCES[number % 3] for number in range(60)]
    together = bundled.encode(texts)
    monkeypatch.setattr("indexer.encoder._TOKENS_PER_BATCH", 1)
    alone = bundled.encode(texts)
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(together, mean_pooled_by_hand(texts), atol=2e-6)


def test_a_model_without_a_limit_of_tokens_reads_its_texts(
    bundled: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bundled.encode([*SENTENCES, ""])
    with monkeypatch.context() as patched:
        patched.setattr(type(bundled._model), "max_seq_length", property(lambda _: None))
        found = bundled.encode([*SENTENCES, ""])
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_no_texts_give_no_rows(bundled: SentenceEncoder) -> None:
    assert bundled.encode([]).shape == (0, 384)
    assert bundled.count_truncated([]) == 0


def test_single_string_is_refused(bundled: SentenceEncoder) -> None:
    with pytest.raises(ValueError, match="expected a sequence"):
        bundled.encode("not a list")


def test_half_a_surrogate_pair_is_refused_by_row(bundled: SentenceEncoder) -> None:
    with pytest.raises(InputError, match=r"text 1 holds '.ud83d' at character 3"):
        bundled.encode(["fine", "ok \ud83d"])


def test_progress_bar_is_on_stderr_and_only_when_asked(
    bundled: SentenceEncoder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    SentenceEncoder.load("bundled", "cpu").encode(SENTENCES)
    embed_sentences(SENTENCES, bundled, tmp_path / "quiet.npy")
    assert capfd.readouterr() == ("", "")
    embed_sentences(SENTENCES, bundled, tmp_path / "shown.npy", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "6/6" in err


def test_local_folder_needs_no_network_and_equals_bundled(
    bundled: SentenceEncoder, no_network: list[str]
) -> None:
    local = SentenceEncoder.load(str(bundled_model_path()), "cpu")
    again = SentenceEncoder.load("bundled", "cpu")
    assert local.encode(SENTENCES).tobytes() == bundled.encode(SENTENCES).tobytes()
    assert local.fingerprint == again.fingerprint == bundled.fingerprint
    assert no_network == []


def test_fingerprint_and_vectors_change_with_the_pooling(
    bundled: SentenceEncoder, copied_model: Path
) -> None:
    pooling = copied_model / "1_Pooling" / "config.json"
    config = json.loads(pooling.read_text())
    config.update(pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)
    pooling.write_text(json.dumps(config))
    first_token = SentenceEncoder.load(str(copied_model), "cpu")
    assert first_token.fingerprint != bundled.fingerprint
    assert not np.allclose(first_token.encode(SENTENCES), bundled.encode(SENTENCES), atol=0.1)


def test_plain_encoder_folder_is_mean_pooled_and_normalised(
    bundled: SentenceEncoder, copied_model: Path
) -> None:
    (copied_model / "modules.json").unlink()
    plain = SentenceEncoder.load(str(copied_model), "cpu")
    np.testing.assert_allclose(plain.encode(SENTENCES), bundled.encode(SENTENCES), atol=2e-6)


def _cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    head = weights.read_bytes()[:50_000]
    weights.unlink()
    weights.write_bytes(head)


def _pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")


def _no_vocabulary(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):
        (folder / name).unlink()


def _foreign_code(folder: Path) -> None:
    modules = [{"idx": 0, "name": "0", "path": "", "type": "modeling.Mine"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "modeling.py").write_text("raise SystemExit('ran foreign code')")


DAMAGE = {
    "cut weights": (_cut_weights, "does not load"),
    "pickled weights": (_pickled_weights, "no safetensors weights"),
    "no vocabulary": (_no_vocabulary, "no tokenizer vocabulary"),
    "code in the folder": (_foreign_code, "does not load"),
    "cut configuration": (lambda folder: (folder / "config.json").write_text("{"), "not load"),
    "no pooling": (lambda folder: (folder / "1_Pooling/config.json").unlink(), "does not load"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_model_that_cannot_be_used_is_an_input_error(
    copied_model: Path, damage: Any, message: str
) -> None:
    damage(copied_model)
    with pytest.raises(InputError, match=message) as refused:
        SentenceEncoder.load(str(copied_model), "cpu")
    assert str(copied_model) in str(refused.value)


@pytest.mark.parametrize("name", ["nobody/no-such-model", "../no/such/folder", ""])
def test_unknown_model_names_what_was_tried_and_what_works(
    name: str, no_network: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError) as refused:
        SentenceEncoder.load(name, "cpu")
    assert repr(name) in str(refused.value)
    assert "`bundled`" in str(refused.value)


def test_hub_model_of_an_earlier_download_works_offline(
    bundled: SentenceEncoder, no_network: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--someone--their-model"
    revision = "0123456789abcdef0123456789abcdef01234567"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "snapshots" / revision).symlink_to(bundled_model_path())
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = SentenceEncoder.load("someone/their-model", "cpu")
    assert cached.encode(SENTENCES).tobytes() == bundled.encode(SENTENCES).tobytes()
    assert no_network != []


def test_model_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    with pytest.raises(InputError, match="is a file, expected the folder"):
        SentenceEncoder.load(str(tmp_path / "model.bin"), "cpu")


@pytest.mark.parametrize("device", ["cuda:97", "toaster"])
def test_absent_device_is_an_input_error(device: str) -> None:
    with pytest.raises(InputError, match=device):
        SentenceEncoder.load("bundled", device)


def test_model_without_finite_outputs_is_a_backend_error() -> None:
    import torch

    encoder = SentenceEncoder.load("bundled", "cpu")
    next(iter(encoder._model.parameters())).data.fill_(torch.nan)
    with pytest.raises(BackendError, match=r"2 of 2 texts .* nan"):
        encoder.encode(["one", "two"])


def test_importing_the_module_loads_no_model_library() -> None:
    script = (
        "import sys, indexer.encoder, indexer.index; "
        "print({'torch', 'transformers', 'sentence_transformers', 'faiss'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert shown.stdout == b"set()\n"
