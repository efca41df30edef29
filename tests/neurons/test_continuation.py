from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from neurons.batching import padded, tokenize
from neurons.continuation import answer_kept, continued_after
from neurons.subject import SubjectModel

TEXTS = ["the battery broke again", "very good sound", "late delivery or slow refund"]


@pytest.fixture
def subject(family: str, tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model(family)), "cpu")


def own_forwards(subject: SubjectModel) -> int:
    return sum("forward" in vars(block) for block in subject.architecture.blocks)


@pytest.mark.parametrize("layer", [0, 1])
def test_what_follows_is_as_in_a_whole_pass(subject: SubjectModel, layer: int) -> None:
    batch = padded(subject, tokenize(subject, TEXTS, subject.maximum_tokens))
    rows = torch.as_tensor([2, 0, 0, 1, 2])
    with torch.inference_mode():
        with answer_kept(subject.architecture, layer) as answers:
            whole = subject.model(**batch.inputs).last_hidden_state
        taken = answers[0].take(rows)
        inputs = {name: tensor[rows] for name, tensor in batch.inputs.items()}
        with continued_after(subject.architecture, layer, taken):
            continued = subject.model(**inputs).last_hidden_state
        again = subject.model(**batch.inputs).last_hidden_state
    torch.testing.assert_close(continued, whole[rows], rtol=1e-4, atol=1e-5)
    assert torch.equal(again, whole)
    assert len(answers) == 1


def test_earlier_blocks_are_not_computed(subject: SubjectModel) -> None:
    batch = padded(subject, tokenize(subject, TEXTS, subject.maximum_tokens))
    computed: list[str] = []
    for number, down in enumerate(subject.architecture.down_projections):
        down.register_forward_hook(lambda *_, number=number: computed.append(str(number)))
    with torch.inference_mode():
        with answer_kept(subject.architecture, 0) as answers:
            subject.model(**batch.inputs)
        with continued_after(subject.architecture, 0, answers[0]):
            subject.model(**batch.inputs)
    assert computed == ["0", "1", "1"]


def test_blocks_are_themselves_again_after_an_exception(subject: SubjectModel) -> None:
    batch = padded(subject, tokenize(subject, TEXTS, subject.maximum_tokens))
    with torch.inference_mode(), answer_kept(subject.architecture, 1) as answers:
        subject.model(**batch.inputs)
    with continued_after(subject.architecture, 1, answers[0]):
        assert own_forwards(subject) == 2
    assert own_forwards(subject) == 0
    with (
        pytest.raises(RuntimeError, match="stop"),
        continued_after(subject.architecture, 1, answers[0]),
    ):
        raise RuntimeError("stop")
    assert own_forwards(subject) == 0


def test_a_missing_layer_is_refused(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    with (
        pytest.raises(ValueError, match="layer is 2, the model has 2 layers"),
        answer_kept(subject.architecture, 2),
    ):
        pass
