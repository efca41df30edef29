from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import InputError
from neurons.capture import captured
from neurons.records import LayerSite, NeuronId, Site
from neurons.subject import SubjectModel
from neurons.tokens import Token, token_activations

NEURONS = (
    NeuronId(1, Site.FFN, 5),
    NeuronId(0, Site.HIDDEN, 31),
    NeuronId(1, Site.FFN, 0),
)


def test_tokens_are_cut_from_the_text_as_it_was_written(
    tiny_model: Callable[[str], Path],
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    text = "  The PHONE, brokez"
    [found] = token_activations(subject, [text], NEURONS)
    assert found.tokens == (
        Token("The", 2, 5),
        Token("PHONE", 6, 11),
        Token(",", 11, 12),
        Token("broke", 13, 18),
        Token("z", 18, 19),
    )
    assert all(text[token.start : token.end] == token.text for token in found.tokens)
    assert found.activations.shape == (len(found.tokens), 3)


def test_agrees_with_one_text_at_a_time(family: str, tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model(family)), "cpu")
    texts = ["late again", "the battery is very good, or not?", "", "one two three"]
    found = token_activations(subject, texts, NEURONS, token_budget=20)

    assert [one.text for one in found] == texts
    for text, one in zip(texts, found, strict=True):
        encoded = subject.tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
        sites = {neuron.layer_site for neuron in NEURONS}
        with torch.inference_mode(), captured(subject.architecture, sites) as latest:
            subject.model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])
        kept = encoded["special_tokens_mask"][0] == 0
        for column, neuron in enumerate(NEURONS):
            expected = latest[neuron.layer_site][0, kept, neuron.unit].numpy()
            np.testing.assert_allclose(one.activations[:, column], expected, rtol=1e-4, atol=1e-5)
        assert one.neurons == NEURONS
        assert len(one.tokens) == len(one.activations) == int(kept.sum())


def test_truncated_tokens_are_told(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    [found] = token_activations(subject, ["good " * 40], NEURONS)
    assert len(found.tokens) == 30
    assert found.truncated_tokens == 10


def test_no_texts_and_no_neurons_give_empty_answers(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    assert token_activations(subject, [], NEURONS) == []
    [found] = token_activations(subject, ["good"], [])
    assert found.activations.shape == (1, 0)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (NeuronId(0, Site.FFN, 48), "L0.ffn.48 does not exist.*48 units.*0 to 47"),
        (NeuronId(0, Site.HIDDEN, 32), "L0.hidden.32 does not exist.*32 units"),
        (NeuronId(2, Site.FFN, 0), "L2.ffn does not exist.*2 layers"),
    ],
)
def test_a_neuron_the_model_lacks_is_refused(
    neuron: NeuronId, message: str, tiny_model: Callable[[str], Path]
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    with pytest.raises(InputError, match=message):
        token_activations(subject, ["good"], [neuron])


def test_layer_sites_are_addressed_like_files() -> None:
    assert NEURONS[0].layer_site == LayerSite(1, Site.FFN)
