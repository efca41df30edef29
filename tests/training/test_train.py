from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file

from descriptors.embedded_generator import SHAPE_FILE, WEIGHTS_FILE, EmbeddedGenerator
from descriptors.embedded_model import DecoderShape, EmbeddedModel, PrefixInput
from descriptors.word_embeddings import END_TOKEN, bundled_tokenizer, bundled_word_embeddings
from training import sources
from training.train import Schedule, Trainer, main, targets_of, write_weights

SHAPE = DecoderShape(n_layers=1, n_heads=2, feed_forward=32, n_sentences=2, n_contrast=1)
SCHEDULE = Schedule(kept_steps=(2, 4), batch=3, warm_up=2)


def trainer(folder: Path) -> Trainer:
    torch.manual_seed(3)
    return Trainer(EmbeddedModel(SHAPE, bundled_word_embeddings(), 384), SCHEDULE, folder)


def train(each: Trainer, last_step: int) -> list[float]:
    losses = []
    while each.step < last_step:
        random = np.random.default_rng(each.step)
        vectors = random.normal(size=(3, 384)).astype(np.float32)
        read = PrefixInput(vectors[:2], vectors[:2].mean(axis=0), vectors[2:], (2166, 3715))
        targets = targets_of(["lost luggage", "visa", "cheese"], bundled_tokenizer())
        losses.append(each.train_on([read] * 3, targets))
        if each.step in SCHEDULE.kept_steps:
            each.keep()
    return losses


def test_a_stopped_training_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    losses = train(whole, 4)
    first = trainer(tmp_path / "stopped")
    train(first, 2)
    first.save()
    second = trainer(tmp_path / "stopped")
    second.resume()
    assert second.step == 2
    assert train(second, 4) == pytest.approx(losses[2:], rel=1e-5)
    for name, expected in whole.averaged().items():
        torch.testing.assert_close(second.averaged()[name], expected)
    for one, other in zip(whole.trained, second.trained, strict=True):
        torch.testing.assert_close(one, other)


def test_without_a_checkpoint_training_begins_at_its_first_step(tmp_path: Path) -> None:
    each = trainer(tmp_path)
    each.resume()
    assert each.step == 0


def test_training_lowers_the_loss_and_leaves_word_embeddings_alone(tmp_path: Path) -> None:
    each = trainer(tmp_path)
    schedule_steps = 60
    losses = train(each, schedule_steps)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    frozen = each.model.decoder.get_input_embeddings().weight
    torch.testing.assert_close(frozen.detach(), bundled_word_embeddings())


def test_what_is_written_is_the_mean_of_what_was_kept_and_loads(tmp_path: Path) -> None:
    train(trainer(tmp_path), 4)
    write_weights(tmp_path, SCHEDULE, SHAPE)
    kept = [load_file(tmp_path / f"kept-{step}.safetensors") for step in SCHEDULE.kept_steps]
    for name, written in load_file(tmp_path / WEIGHTS_FILE).items():
        assert written.dtype == torch.float16
        expected = (kept[0][name] + kept[1][name]) / 2
        torch.testing.assert_close(written.float(), expected, rtol=1e-3, atol=1e-4)
    assert (tmp_path / SHAPE_FILE).exists()
    assert EmbeddedGenerator.load(tmp_path).model.shape == SHAPE


def test_targets_end_and_are_padded() -> None:
    tokenizer = bundled_tokenizer()
    targets = targets_of(["visa", "lost luggage"], tokenizer)
    visa, lost, luggage = tokenizer.convert_tokens_to_ids(["visa", "lost", "luggage"])
    assert targets.tolist() == [[visa, END_TOKEN, 0], [lost, luggage, END_TOKEN]]


def test_the_rate_rises_then_falls_to_a_fiftieth() -> None:
    schedule = Schedule(kept_steps=(200, 300), warm_up=100)
    rates = [schedule.rate(step) for step in range(301)]
    assert np.all(np.diff(rates[:100]) > 0.0)
    assert np.all(np.diff(rates[100:]) < 0.0)
    assert max(rates) == pytest.approx(schedule.peak_rate)
    assert rates[-1] == pytest.approx(schedule.peak_rate / 50)


def test_without_the_development_data_training_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SHARED", tmp_path / "absent")
    with pytest.raises(typer.BadParameter, match=r"found no .*absent; training reads"):
        main(tmp_path)
