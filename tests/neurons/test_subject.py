from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from indexer.errors import InputError
from neurons.subject import SubjectModel, choose_device


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Callable[[str], Path]) -> Path:
    """A copy of the tiny BERT that a test may damage."""
    copy = tmp_path / "model"
    shutil.copytree(tiny_model("bert"), copy)
    return copy


def test_loads_a_folder_ready_to_be_read(folder: Path) -> None:
    subject = SubjectModel.load(str(folder), "cpu")
    assert subject.name == str(folder)
    assert not subject.model.training
    assert {parameter.dtype for parameter in subject.model.parameters()} == {torch.float32}
    assert subject.maximum_tokens == 32
    assert subject.device == torch.device("cpu")


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    SubjectModel.load(str(folder), "cpu")
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err == ""
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_a_task_head_is_left_behind(folder: Path) -> None:
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    base = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    task = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(folder))
    task.bert.load_state_dict(base.state_dict(), strict=False)
    task.save_pretrained(folder)

    loaded = SubjectModel.load(str(folder), "cpu").model
    assert type(loaded).__name__ == "BertModel"
    for name, weights in base.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weights), name


def test_half_precision_weights_are_read_as_float32(folder: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    subject = SubjectModel.load(str(folder), "cpu")
    assert {parameter.dtype for parameter in subject.model.parameters()} == {torch.float32}


def test_chunked_feed_forward_is_read_in_one_piece(folder: Path) -> None:
    from neurons.parity import check_parity

    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"chunk_size_feed_forward": 2}))
    assert check_parity(SubjectModel.load(str(folder), "cpu"), ["the a an battery"]).passed


def test_the_fingerprint_follows_weights_configuration_and_tokenizer(
    folder: Path, tmp_path: Path
) -> None:
    first = SubjectModel.load(str(folder), "cpu").fingerprint
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    (moved / "README.md").write_text("not a part of the model")
    assert SubjectModel.load(str(moved), "cpu").fingerprint == first

    found = {first}
    for name in ("config.json", "tokenizer.json"):
        original = (folder / name).read_text()
        (folder / name).write_text(original + "\n")
        found.add(SubjectModel.load(str(folder), "cpu").fingerprint)
        (folder / name).write_text(original)
    model = SubjectModel.load(str(folder), "cpu").model
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1.0
    model.save_pretrained(folder)
    found.add(SubjectModel.load(str(folder), "cpu").fingerprint)
    assert len(found) == 4


def test_a_cached_hub_model_needs_no_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("a" * 40)
    shutil.copytree(folder, cached / "snapshots" / ("a" * 40))

    subject = SubjectModel.load("someone/tiny", "cpu")
    assert subject.name == "someone/tiny"
    assert subject.fingerprint == SubjectModel.load(str(folder), "cpu").fingerprint


@pytest.mark.parametrize(
    "name", ["no-such-organisation/no-such-model", "no_such_folder", "./nothing/here", "a/b/c"]
)
def test_an_unknown_model_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"neither a folder nor reachable.*'bundled'"):
        SubjectModel.load(name, "cpu")


def test_a_file_is_not_a_model(folder: Path) -> None:
    with pytest.raises(InputError, match="is a file"):
        SubjectModel.load(str(folder / "config.json"), "cpu")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        SubjectModel.load(str(tmp_path), "cpu")


def test_pickled_weights_need_the_explicit_flag(folder: Path) -> None:
    model = SubjectModel.load(str(folder), "cpu").model
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights"):
        SubjectModel.load(str(folder), "cpu", unsafe_weights=True)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")

    with pytest.raises(InputError, match="no safetensors weights"):
        SubjectModel.load(str(folder), "cpu")
    allowed = SubjectModel.load(str(folder), "cpu", unsafe_weights=True)
    for name, weights in model.state_dict().items():
        assert torch.equal(allowed.model.state_dict()[name], weights), name


def test_damaged_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be loaded"):
        SubjectModel.load(str(folder), "cpu")


def test_incomplete_weights_are_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors.*encoder\.layer\.1\.output\.dense"):
        SubjectModel.load(str(folder), "cpu")


def test_a_model_without_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="no tokenizer vocabulary"):
        SubjectModel.load(str(folder), "cpu")


def test_a_tokenizer_larger_than_the_model_is_refused(
    folder: Path, tiny_model: Callable[[str], Path]
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model("roberta") / name, folder / name)
    with pytest.raises(InputError, match=r"tokenizer of .* counts to 319 but the model embeds"):
        SubjectModel.load(str(folder), "cpu")


def test_an_unsupported_architecture_is_refused(folder: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    GPT2Model(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=114)).save_pretrained(folder)
    with pytest.raises(InputError, match="'gpt2' are not supported"):
        SubjectModel.load(str(folder), "cpu")


def test_code_in_a_model_folder_is_not_run(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "surprise",
        "auto_map": {"AutoConfig": "surprise.Surprise", "AutoModel": "surprise.Surprise"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    mark = tmp_path / "mark"
    (folder / "surprise.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Surprise: ...\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        SubjectModel.load(str(folder), "cpu")
    assert not mark.exists()


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(InputError, match="'tpu' is not a device; use auto, cpu or cuda"):
        choose_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_not_replaced_by_something_else() -> None:
    with pytest.raises(InputError, match="no CUDA device"):
        choose_device("cuda")


@pytest.mark.slow
def test_the_bundled_model_needs_no_network() -> None:
    subject = SubjectModel.load("bundled", "cpu")
    assert subject.name == "bundled"
    assert subject.architecture.n_layers == 6
    assert (subject.architecture.ffn_units, subject.architecture.hidden_units) == (1536, 384)
    assert subject.maximum_tokens == 512
