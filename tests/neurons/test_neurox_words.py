"""Word activations against the model itself and against a slow reading of the rule."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import InputError
from neurons import neurox_words
from neurons.listed_texts import ListedTexts
from neurons.neurox import NeuroxSentence
from neurons.neurox_words import Aggregation, WordReader
from neurons.records import LayerSite, NeuronId, Site
from neurons.subject import SubjectModel
from neurons.tokens import token_activations

TEXTS = [
    "the battery was good",
    "  two  spaces\tand a tab ",
    "unhyphenated-words, commas!",
    "naïve café 日本語 🙂 end",
    "x",
    "the charger broke, again.",
]
HIDDEN = [LayerSite(layer, Site.HIDDEN) for layer in (0, 1)]
FFN = [LayerSite(layer, Site.FFN) for layer in (0, 1)]


def read(
    subject: SubjectModel,
    texts: Sequence[str],
    layers: Sequence[LayerSite],
    aggregation: Aggregation = Aggregation.LAST,
) -> tuple[list[NeuroxSentence], neurox_words.WordReport]:
    reader = WordReader(subject, ListedTexts(texts), layers, aggregation)
    return [sentence for window in reader.windows() for sentence in window], reader.report


@pytest.mark.parametrize("layers", [HIDDEN, FFN[1:]], ids=["hidden", "ffn"])
@pytest.mark.parametrize("aggregation", Aggregation)
def test_words_are_made_of_their_tokens(
    family: str,
    tiny_model: Callable[[str], Path],
    layers: list[LayerSite],
    aggregation: Aggregation,
) -> None:
    subject = SubjectModel.load(str(tiny_model(family)), "cpu")
    found, report = read(subject, TEXTS, layers, aggregation)
    units = subject.architecture.units(layers[0].site)
    neurons = [NeuronId(each.layer, each.site, unit) for each in layers for unit in range(units)]
    assert report.sentences + report.sentences_left_out == len(TEXTS)
    assert report.words == sum(sentence.n_tokens for sentence in found)
    for sentence in found:
        text = TEXTS[sentence.index]
        assert set(sentence.tokens or ()) <= set(text.split())
        own = token_activations(subject, [text], neurons)[0]
        at, place = 0, 0
        for word in text.split():
            start = text.index(word, at)
            at = start + len(word)
            pieces = [
                row
                for row, token in enumerate(own.tokens)
                if token.text.strip() and start < token.start + len(token.text.rstrip()) <= at
            ]
            if not pieces:
                continue
            assert sentence.tokens is not None
            assert sentence.tokens[place] == word
            rows = own.activations[pieces]
            value = rows[-1] if aggregation is Aggregation.LAST else rows.mean(axis=0)
            np.testing.assert_allclose(
                sentence.activations[:, place].ravel(), value, rtol=1e-4, atol=1e-5
            )
            place += 1
        assert place == sentence.n_tokens


def test_whole_words_have_the_hidden_states_of_the_model(
    tiny_model: Callable[[str], Path],
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    (sentence,), _ = read(subject, [TEXTS[0]], HIDDEN)
    encoded = subject.tokenizer([TEXTS[0]], return_tensors="pt")
    with torch.inference_mode():
        states = subject.model(**encoded, output_hidden_states=True).hidden_states
    assert sentence.tokens == ("the", "battery", "was", "good")
    for layer in (0, 1):
        # Without the first and last token, which are special; state 0 is the embedding output.
        expected = states[layer + 1][0, 1:-1].numpy()
        np.testing.assert_allclose(sentence.activations[layer], expected, rtol=1e-4, atol=1e-5)


def test_what_the_model_does_not_read_is_left_out_and_counted(
    tiny_model: Callable[[str], Path],
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    texts = ["good " * 40 + "bad", "the [SEP] case", "[SEP]", ""]
    found, report = read(subject, texts, HIDDEN[:1])
    assert [sentence.index for sentence in found] == [0, 1]
    assert found[0].tokens == ("good",) * 30
    assert found[1].tokens == ("the", "case")
    assert report.model_dump() == {
        "sentences": 2,
        "words": 32,
        "words_left_out": 11 + 1 + 1,
        "truncated_sentences": 1,
        "sentences_left_out": 2,
    }


def test_portions_change_nothing(
    tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    whole, expected = read(subject, TEXTS, HIDDEN)
    monkeypatch.setattr(neurox_words, "_VALUES_AT_A_TIME", 1)
    monkeypatch.setattr(neurox_words, "_FEWEST_TOKENS", 1)
    parts, report = read(subject, TEXTS, HIDDEN)
    assert report == expected
    for one, other in zip(parts, whole, strict=True):
        assert (one.index, one.text, one.tokens) == (other.index, other.text, other.tokens)
        np.testing.assert_allclose(one.activations, other.activations, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layers", [[], [HIDDEN[0], FFN[0]]], ids=["none", "two sites"])
def test_layers_are_of_one_site(tiny_model: Callable[[str], Path], layers: list[LayerSite]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    with pytest.raises(InputError, match="of one site"):
        WordReader(subject, ListedTexts(TEXTS), layers)
