"""What is planted where in a model, and how what comes back is judged; without a model."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from descriptors.corpus import Labels
from eval.planted_model import Plan, PlantedModelSettings, PlantedModelTask, plan_planting
from eval.planted_model_figures import PlantedReadings, planted_model_figures
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray
from neurons.matching import MatchingSettings
from neurons.records import LayerSite, Site
from neurons.split_rows import SplitRows

N_SENTENCES = 1200
N_TOPICS = 12
TOPIC = np.arange(N_SENTENCES) % N_TOPICS
SETTINGS = PlantedModelSettings(units=12, fitted_positives=25, fitted_others=40, natural_units=20)
LAYERS = {LayerSite(layer, site): 40 for layer in range(3) for site in Site}


def rows() -> SplitRows:
    """Half, a sixth and a third of the sentences; every split holds all topics equally often."""
    block = np.arange(N_SENTENCES) // N_TOPICS % 6
    return SplitRows(
        discover=np.flatnonzero(block < 3),
        validation=np.flatnonzero(block == 3),
        test=np.flatnonzero(block > 3),
        documents=np.arange(N_SENTENCES),
    )


def topics(first: int = 0, last: int = N_TOPICS) -> csr_matrix:
    members = [topic == TOPIC for topic in range(first, last)]
    return csr_matrix(np.array(members, dtype=np.float64).reshape(last - first, N_SENTENCES))


def task(membership: csr_matrix, facets: tuple[str, ...] = ("topic",)) -> PlantedModelTask:
    names = tuple(f"{facet}:{chr(97 + number)}" for facet in facets for number in range(N_TOPICS))
    sets = np.tile(topics().toarray().astype(np.bool_), (len(facets), 1))
    return PlantedModelTask(
        membership=membership,
        labels=Labels(names, csr_matrix(sets.reshape(len(names), N_SENTENCES))),
        rows=rows(),
        matching=MatchingSettings(null_neurons=16),
        layers=LAYERS,
        seed=0,
    )


def holds(plan: Plan) -> BoolArray:
    """Which sentences the concept of each planted unit holds for (`n_sentences, n_planted`)."""
    found = np.zeros((N_SENTENCES, len(plan.neurons)), dtype=np.bool_)
    for group in plan.groups:
        members = group.concepts.sets.toarray() > 0.0
        found[:, group.units] = members[group.gold].T
    return found


def noise(n_units: int, seed: int) -> DoubleArray:
    return np.random.default_rng(seed).normal(size=(N_SENTENCES, n_units))


def readings(plan: Plan, strength: float) -> PlantedReadings:
    n_planted = len(plan.neurons)
    return PlantedReadings(
        planted=noise(n_planted, 1) + strength * holds(plan),
        before=noise(n_planted, 2),
        natural=noise(20, 3),
    )


def only(figures: list[Figure], variant: str, metric: str) -> Figure:
    found = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    assert len(found) == 1, (variant, metric)
    return found[0]


def test_units_are_drawn_from_all_layers_and_each_once() -> None:
    plan = plan_planting(task(topics()), SETTINGS)
    assert len(set(plan.neurons)) == len(plan.neurons) == 24
    assert list(plan.neurons) == sorted(plan.neurons)
    assert {neuron.site for neuron in plan.neurons} == {Site.FFN}
    places = [neuron.layer for neuron in plan.neurons]
    assert [places.count(layer) for layer in range(3)] == [8, 8, 8]
    assert sorted(np.concatenate([group.units for group in plan.groups])) == list(range(24))
    for group in plan.groups:
        layers = [plan.neurons[unit].layer for unit in group.units]
        assert [layers.count(layer) for layer in range(3)] == [4, 4, 4]
        # As many concepts as units, so each is planted once.
        assert sorted(group.gold) == list(range(12))


def test_fitting_sees_discover_alone_and_enough_of_each_concept() -> None:
    plan = plan_planting(task(topics()), SETTINGS)
    assert np.isin(plan.rows, rows().discover).all()
    assert (np.diff(plan.rows) > 0).all()
    np.testing.assert_array_equal(plan.members, holds(plan)[plan.rows].T)
    # 25 of the 50 sentences of each topic, and 40 of all.
    assert (plan.members.sum(axis=1) >= 25).all()
    assert 12 * 25 <= len(plan.rows) <= 12 * 25 * 2 + 40


@pytest.mark.parametrize("n_topics", [4, 5, 6, 9])
def test_a_concept_is_planted_once_in_a_layer(n_topics: int) -> None:
    many = SETTINGS.model_copy(update={"units": 30})
    plan = plan_planting(task(topics(0, n_topics), ()), many)
    (group,) = plan.groups
    pairs = {
        (plan.neurons[unit].layer, concept)
        for unit, concept in zip(group.units, group.gold.tolist(), strict=True)
    }
    assert len(pairs) == len(group.units) == min(30, 3 * n_topics)


def test_too_few_different_units_are_refused() -> None:
    plan = plan_planting(task(topics(0, 3)), SETTINGS)
    assert [group.concepts.variant for group in plan.groups] == ["gold=labels"]
    (refused,) = plan.refused
    assert (refused.variant, refused.n) == ("gold=descriptors", 9)
    assert "3 concepts in 3 layers give 9 different units, expected 10" in refused.reason


def test_too_few_units_for_all_kinds_are_refused() -> None:
    """Sixty of 120 units may be edited: six for the catalog and each of nine facets."""
    plan = plan_planting(task(topics(), tuple("abcdefghi")), SETTINGS)
    assert plan.neurons == ()
    (refused,) = planted_model_figures(task(topics()), plan, readings(plan, 1.0))
    assert (refused.metric, refused.n) == ("refused", 120)
    assert "120 units of the ffn site, expected 200 or more to plant 10" in refused.reason
    hidden_only = replace(task(topics()), layers={LayerSite(0, Site.HIDDEN): 384})
    plan = plan_planting(hidden_only, SETTINGS)
    assert [each.n for each in plan.refused] == [0]


def test_what_cannot_be_planted_is_refused_and_the_rest_planted() -> None:
    plan = plan_planting(task(topics(0, 1)), SETTINGS)
    assert [group.concepts.variant for group in plan.groups] == ["gold=labels"]
    figures = planted_model_figures(task(topics(0, 1)), plan, readings(plan, 4.0))
    assert (
        "1 of 1 descriptors can be planted" in only(figures, "gold=descriptors", "refused").reason
    )
    assert only(figures, "gold=labels upper_bound", "P").value == 1.0
    plan = plan_planting(task(topics(), ()), SETTINGS)
    assert [group.concepts.variant for group in plan.groups] == ["gold=descriptors"]
    assert "no labels" in plan.refused[0].reason
    nothing = plan_planting(task(topics(0, 0), ()), SETTINGS)
    assert (nothing.neurons, len(nothing.refused)) == ((), 2)


def test_units_that_respond_are_found() -> None:
    """Four topics have no descriptor: a third of the labels cannot be named."""
    own_task = task(topics(0, 8))
    plan = plan_planting(own_task, SETTINGS)
    figures = planted_model_figures(own_task, plan, readings(plan, 4.0))
    found = only(figures, "gold=descriptors", "P")
    assert (found.value, found.null, found.k, found.n, found.split) == (1.0, 0.0, 1, 12, "test")
    # The commonest descriptor is the first of equals; one or two of twelve units have it.
    assert found.baseline in (pytest.approx(1 / 12), pytest.approx(2 / 12))
    described = only(figures, "gold=descriptors", "described")
    assert (described.value, described.null) == (1.0, 0.0)
    assert only(figures, "gold=labels", "P").value == pytest.approx(8 / 12)
    assert only(figures, "gold=labels contained", "P").value == pytest.approx(8 / 12)
    assert only(figures, "gold=labels upper_bound", "P").value == 1.0
    meant = only(figures, "gold=labels meant", "P")
    assert (meant.value, meant.n) == (None, 8)
    assert "found 8 units to judge, expected 10" in meant.reason
    assert only(figures, "gold=labels every_concept", "meant_concepts").value == pytest.approx(
        2 / 3
    )


def test_units_that_could_not_be_planted_are_told_by_their_auroc() -> None:
    own_task = task(topics())
    plan = plan_planting(own_task, SETTINGS)
    found = readings(plan, 0.2)
    figures = planted_model_figures(own_task, plan, found)
    assert only(figures, "gold=descriptors", "P").value == 0.0
    test, members = rows().test, holds(plan)
    for group in plan.groups:
        expected = [
            [roc_auc_score(members[test, unit], part[test, unit]) for unit in group.units]
            for part in (found.planted, found.before)
        ]
        area = only(figures, group.concepts.variant, "AUROC")
        assert area.value == pytest.approx(np.mean(expected[0]))
        assert area.null == pytest.approx(np.mean(expected[1]))
        assert area.ci_low is not None
        assert area.ci_high is not None
        assert area.ci_low < area.value < area.ci_high


def test_a_catalog_without_descriptors_misses_every_label() -> None:
    empty = task(topics(0, 0))
    plan = plan_planting(empty, SETTINGS)
    figures = planted_model_figures(empty, plan, readings(plan, 4.0))
    found = only(figures, "gold=labels", "P")
    assert (found.value, found.null, found.baseline) == (0.0, 0.0, 0.0)
    assert only(figures, "gold=labels upper_bound", "P").value == 1.0


def test_the_same_task_gives_the_same_figures() -> None:
    plans = [plan_planting(task(topics()), SETTINGS) for _ in range(2)]
    assert plans[0].neurons == plans[1].neurons
    np.testing.assert_array_equal(plans[0].members, plans[1].members)
    first, again = (
        planted_model_figures(task(topics()), plan, readings(plan, 2.0)) for plan in plans
    )
    assert first == again
    other = plan_planting(replace(task(topics()), seed=1), SETTINGS)
    assert other.neurons != plans[0].neurons


def test_readings_must_fit_each_other() -> None:
    with pytest.raises(ValueError, match=r"before is \(9, 2\), planted \(9, 3\)"):
        PlantedReadings(np.zeros((9, 3)), np.zeros((9, 2)), np.zeros((9, 1)))
    with pytest.raises(ValueError, match="natural has 8 rows, planted 9"):
        PlantedReadings(np.zeros((9, 3)), np.zeros((9, 3)), np.zeros((8, 1)))


@pytest.mark.parametrize("wrong", [{"units": 9}, {"maximum_share": 1.0}, {"fitted_others": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PlantedModelSettings.model_validate(wrong)
