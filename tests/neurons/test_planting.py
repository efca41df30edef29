"""Units planted in tiny models: what is written, what it does, and that nothing else changes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from indexer.arrays import BoolArray, IntArray
from indexer.errors import InputError
from neurons.planting import concept_directions, plant, pooled_activations
from neurons.planting_inputs import input_moments, preactivation_spreads
from neurons.reading import ExtractionSettings, read, tokenized
from neurons.records import NeuronId, Pooling, Site
from neurons.subject import SubjectModel
from neurons.tokens import token_activations

OTHERS = ("the", "an", "phone", "price", "was", "is", "or", "not", "very", "late", "works", "size")
NEURONS = (NeuronId(0, Site.FFN, 3), NeuronId(0, Site.FFN, 40), NeuronId(1, Site.FFN, 7))
KEYWORDS = ("battery", "refund", "loud")
SETTINGS = ExtractionSettings(token_budget=256)


class Texts:
    """Sentences in memory, as an extraction reads them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def texts_at(self, rows: IntArray) -> Sequence[str]:
        return [self.texts[row] for row in rows]


def sentences(n_texts: int, seed: int) -> tuple[list[str], BoolArray]:
    """Sentences of 4 to 9 words, and which hold each keyword (`n_keywords, n_texts`)."""
    generator = np.random.default_rng(seed)
    holds = generator.random((len(KEYWORDS), n_texts)) < 0.25
    texts = []
    for own in holds.T:
        words = [*generator.choice(OTHERS, size=generator.integers(4, 7))]
        words += [word for word, there in zip(KEYWORDS, own, strict=True) if there]
        texts.append(" ".join(generator.permutation(words)))
    return texts, holds


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def weights(subject: SubjectModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in subject.model.state_dict().items()}


def no_hooks(subject: SubjectModel) -> bool:
    return not any(
        module._forward_hooks or module._forward_pre_hooks for module in subject.model.modules()
    )


@pytest.mark.parametrize("pooling", list(Pooling))
def test_planted_units_respond_to_their_concepts_on_other_texts(
    subject: SubjectModel, pooling: Pooling
) -> None:
    settings = replace_pooling(pooling)
    texts, holds = sentences(500, seed=0)
    held_out, there = sentences(300, seed=1)
    edited = plant(subject, NEURONS, texts, holds, settings)
    found = pooled_activations(edited, Texts(held_out), NEURONS, settings)
    before = pooled_activations(subject, Texts(held_out), NEURONS, settings)
    for column, own in enumerate(there):
        assert roc_auc_score(own, found[:, column]) > 0.75
        assert abs(roc_auc_score(own, before[:, column]) - 0.5) < 0.25


def replace_pooling(pooling: Pooling) -> ExtractionSettings:
    return ExtractionSettings(token_budget=256, pooling=pooling)


def test_the_model_itself_stays_untouched(subject: SubjectModel) -> None:
    before = weights(subject)
    texts, holds = sentences(60, seed=0)
    edited = plant(subject, NEURONS, texts, holds, SETTINGS)
    assert all(torch.equal(value, before[name]) for name, value in weights(subject).items())
    assert edited.model is not subject.model
    assert edited.architecture.blocks[0] is not subject.architecture.blocks[0]
    assert no_hooks(subject)
    assert no_hooks(edited)


def test_only_the_rows_and_columns_of_planted_units_change(subject: SubjectModel) -> None:
    texts, holds = sentences(60, seed=0)
    edited = plant(subject, NEURONS, texts, holds, SETTINGS)
    for layer in range(2):
        units = [neuron.unit for neuron in NEURONS if neuron.layer == layer]
        others = np.setdiff1d(np.arange(48), units)
        up, down = (
            (model.architecture.feed_forwards[layer].up, model.architecture.down_projections[layer])
            for model in (subject, edited)
        )
        up, down = zip(up, down, strict=True)
        assert torch.equal(up[0].weight[others], up[1].weight[others])
        assert torch.equal(up[0].bias[others], up[1].bias[others])
        assert not torch.isclose(up[0].weight[units], up[1].weight[units]).any(dim=1).all()
        assert torch.equal(down[0].weight[:, others], down[1].weight[:, others])
        assert (down[1].weight[:, units] == 0.0).all()
        assert torch.equal(down[0].bias, down[1].bias)
    changed = {
        name for name, value in weights(edited).items() if (value != weights(subject)[name]).any()
    }
    assert {name.split(".", 3)[3] for name in changed} == {
        "intermediate.dense.weight",
        "intermediate.dense.bias",
        "output.dense.weight",
    }


def test_planted_units_are_not_heard_by_the_rest_of_the_model(subject: SubjectModel) -> None:
    """What other units do does not depend on what the planted ones were planted with."""
    texts, holds = sentences(60, seed=0)
    one = plant(subject, NEURONS, texts, holds, SETTINGS)
    other = plant(subject, NEURONS, texts, ~holds, SETTINGS)
    sites = subject.architecture.layer_sites(Site)
    read_by = [
        read([model], tokenized(model, texts, SETTINGS), sites, SETTINGS).activations
        for model in (one, other)
    ]
    differs = (read_by[0] != read_by[1]).any(axis=0)
    # Columns: 48 FFN units and 32 hidden ones for each of the two layers.
    assert np.flatnonzero(differs).tolist() == [3, 40, 80 + 7]


def test_planted_units_spread_like_natural_ones(subject: SubjectModel) -> None:
    texts, holds = sentences(400, seed=0)
    edited = plant(subject, NEURONS, texts, holds, SETTINGS)
    for neuron in NEURONS:
        spreads = preactivation_spreads(edited, [neuron.layer], texts, SETTINGS)[neuron.layer]
        units = [each.unit for each in NEURONS if each.layer == neuron.layer]
        natural = np.setdiff1d(np.arange(48), units)
        for values in (spreads.means, spreads.deviations):
            assert values[neuron.unit] == pytest.approx(np.median(values[natural]), rel=1e-3)


def test_the_copy_is_told_from_the_model(subject: SubjectModel) -> None:
    texts, holds = sentences(60, seed=0)
    edited, again, other = (
        plant(subject, NEURONS, texts, own, SETTINGS) for own in (holds, holds, ~holds)
    )
    assert edited.name == f"{subject.name} with 3 planted units"
    assert len({subject.fingerprint, edited.fingerprint, other.fingerprint}) == 3
    assert edited.fingerprint == again.fingerprint
    mine, theirs = weights(edited), weights(again)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_every_family_but_the_gated_can_be_planted_in(
    family: str, tiny_model: Callable[[str], Path]
) -> None:
    subject = SubjectModel.load(str(tiny_model(family)), "cpu")
    texts, holds = sentences(300, seed=0)
    if family == "modernbert":
        with pytest.raises(InputError, match=r"ModernBERT model are gated.*for example BERT"):
            plant(subject, NEURONS, texts, holds, SETTINGS)
        return
    edited = plant(subject, NEURONS, texts, holds, SETTINGS)
    found = pooled_activations(edited, Texts(texts), NEURONS, SETTINGS)
    areas = [roc_auc_score(own, found[:, column]) for column, own in enumerate(holds)]
    assert min(areas) > 0.75
    assert no_hooks(edited)


def test_a_model_without_biases_is_refused(subject: SubjectModel) -> None:
    bare = subject.copied_to(subject.device)
    for feed_forward in bare.architecture.feed_forwards:
        feed_forward.up.register_parameter("bias", None)
    texts, holds = sentences(60, seed=0)
    with pytest.raises(InputError, match="without biases"):
        plant(bare, NEURONS, texts, holds, SETTINGS)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (NeuronId(0, Site.FFN, 48), r"L0\.ffn\.48: expected a unit of the ffn site, 0 to 47"),
        (NeuronId(0, Site.HIDDEN, 0), r"cannot plant a concept in L0\.hidden\.0"),
        (NeuronId(2, Site.FFN, 0), "has 2 layers"),
    ],
)
def test_places_that_are_none_are_refused(
    subject: SubjectModel, neuron: NeuronId, message: str
) -> None:
    texts, holds = sentences(20, seed=0)
    with pytest.raises(InputError, match=message):
        plant(subject, [neuron], texts, holds[:1], SETTINGS)


def test_arguments_that_do_not_fit_are_refused(subject: SubjectModel) -> None:
    texts, holds = sentences(20, seed=0)
    with pytest.raises(ValueError, match=r"members have shape \(3, 20\), expected \(2, 20\)"):
        plant(subject, NEURONS[:2], texts, holds, SETTINGS)
    with pytest.raises(ValueError, match="3 neurons are given, 1 different"):
        plant(subject, NEURONS[:1] * 3, texts, holds, SETTINGS)
    for everywhere in (True, False):
        with pytest.raises(ValueError, match="expected some of them and not all"):
            plant(subject, NEURONS, texts, np.full((3, 20), everywhere), SETTINGS)


def test_directions_minimise_the_penalised_loss() -> None:
    """An oracle that never whitens: it penalises w' S w where the inputs are."""
    generator = np.random.default_rng(0)
    means = (generator.normal(size=(300, 5)) @ generator.normal(size=(5, 5))).astype(np.float32)
    members = generator.random((3, 300)) < 0.3
    means[members[1]] += generator.normal(size=5).astype(np.float32)
    covariance = np.cov(means.T.astype(np.float64)) * 3.0
    shrunk = 0.9 * covariance + 0.1 * np.trace(covariance) / 5 * np.eye(5)
    centred = means - means.mean(axis=0)
    for own in members:
        loss = penalised_loss(centred, own, shrunk)
        expected = minimize(loss, np.zeros(6), tol=1e-10).x[:5]
        (found,) = concept_directions(covariance, means, own[None])
        assert np.linalg.norm(found) == pytest.approx(1.0)
        assert found @ expected / np.linalg.norm(expected) == pytest.approx(1.0, abs=1e-4)


def penalised_loss(
    centred: np.ndarray, own: BoolArray, shrunk: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Of five weights and a bias; members and others count for 150 texts each."""
    weights = 150.0 / np.where(own, own.sum(), (~own).sum())

    def loss(row: np.ndarray) -> float:
        margins = np.where(own, 1.0, -1.0) * (centred @ row[:5] + row[5])
        penalty = row[:5] @ shrunk @ row[:5] / 2.0
        return float(penalty + 0.03 * weights @ np.logaddexp(0.0, -margins))

    return loss


@pytest.mark.parametrize("pooling", list(Pooling))
def test_moments_are_those_of_single_tokens(subject: SubjectModel, pooling: Pooling) -> None:
    """An oracle that reads text by text, without batches (the empty one has no content token)."""
    texts = [*sentences(30, seed=2)[0], ""]
    settings = replace_pooling(pooling)
    found = input_moments(subject, [0, 1], texts, settings)
    for layer in (0, 1):
        tokens: list[np.ndarray] = []
        seen: list[torch.Tensor] = []
        up = subject.architecture.feed_forwards[layer].up
        handle = up.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0][0]))  # noqa: B023
        for text in texts:
            with torch.inference_mode():
                subject.model(**subject.tokenizer(text, return_tensors="pt"))
            every = seen.pop().numpy()
            alone = pooling is Pooling.CLS or not text
            tokens.append(every[:1] if alone else every[1:-1])
        handle.remove()
        together = np.concatenate(tokens).astype(np.float64)
        expected = np.cov(together.T, ddof=0)
        np.testing.assert_allclose(found[layer].covariance, expected, atol=1e-5)
        means = np.stack([each.mean(axis=0) for each in tokens])
        np.testing.assert_allclose(found[layer].means, means, atol=1e-5)
    assert no_hooks(subject)


def test_spreads_are_those_of_the_pooled_up_projection(subject: SubjectModel) -> None:
    """GELU changes nothing far above zero, so there the captured activations are the oracle."""
    lifted = subject.copied_to(subject.device)
    with torch.no_grad():
        lifted.architecture.feed_forwards[1].up.bias += 50.0
    texts, _ = sentences(40, seed=3)
    neurons = [NeuronId(1, Site.FFN, unit) for unit in range(48)]
    activations = [each.activations for each in token_activations(lifted, texts, neurons)]
    expected = np.stack([each.max(axis=0) for each in activations])
    spreads = preactivation_spreads(lifted, [1], texts, SETTINGS)[1]
    np.testing.assert_allclose(spreads.means, expected.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(spreads.deviations, expected.std(axis=0), rtol=1e-3)
    assert no_hooks(lifted)


def test_hooks_are_gone_after_a_failure(subject: SubjectModel) -> None:
    broken = subject.copied_to(subject.device)
    broken.architecture.feed_forwards[1].up.weight = torch.nn.Parameter(torch.zeros(48, 5))
    with pytest.raises(RuntimeError):
        input_moments(broken, [0], ["good battery"], SETTINGS)
    assert no_hooks(broken)


def test_pooled_activations_are_the_columns_of_an_extraction(
    subject: SubjectModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, _ = sentences(90, seed=4)
    neurons = [NeuronId(1, Site.FFN, 5), NeuronId(0, Site.HIDDEN, 2), NeuronId(0, Site.FFN, 9)]
    settings = ExtractionSettings(token_budget=64, window_sentences=25)
    begun: list[int] = []
    found = pooled_activations(subject, Texts(texts), neurons, settings, begun.append)
    sites = subject.architecture.layer_sites(Site)
    whole = read([subject], tokenized(subject, texts, settings), sites, settings).activations
    np.testing.assert_allclose(found, whole[:, [80 + 5, 48 + 2, 9]], rtol=2e-3, atol=1e-3)
    assert found.dtype == np.float16
    assert sum(begun) == 90
    assert len(begun) > 4
    monkeypatch.setattr("neurons.planting._PORTION_BYTES", 2 * 96 * 10)
    portions = pooled_activations(subject, Texts(texts), neurons, settings)
    np.testing.assert_allclose(portions, found, rtol=2e-3, atol=1e-3)
    with pytest.raises(InputError, match="has 2 layers"):
        pooled_activations(subject, Texts(texts), [NeuronId(5, Site.FFN, 1)], settings)
