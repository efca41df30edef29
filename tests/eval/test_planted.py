"""The planted-units protocol: figures by hand, and the whole on corpora where all is known."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from descriptors.corpus import Labels
from eval.metrics import Ranking
from eval.planted import PlantedSettings, PlantedTask, planted_units
from eval.planted_figures import PlantedInputs, planted_figures
from eval.records import Figure
from indexer.arrays import BoolArray, IntArray
from neurons.matching import MatchingSettings
from neurons.split_rows import Activations, SplitRows

N_SENTENCES = 1200
N_TOPICS = 12
TOPIC = np.arange(N_SENTENCES) % N_TOPICS
SETTINGS = PlantedSettings(units=40, strengths=(0.01, 4.0))


def rows() -> SplitRows:
    """Half, a sixth and a third of the sentences; every split holds all topics equally often."""
    block = np.arange(N_SENTENCES) // N_TOPICS % 6
    return SplitRows(
        discover=np.flatnonzero(block < 3),
        validation=np.flatnonzero(block == 3),
        test=np.flatnonzero(block > 3),
        documents=np.arange(N_SENTENCES),
    )


def sets_of(members: list[BoolArray]) -> csr_matrix:
    return csr_matrix(np.array(members, dtype=np.float64))


def topics(first: int = 0, last: int = N_TOPICS) -> csr_matrix:
    return sets_of([topic == TOPIC for topic in range(first, last)])


def real_units(n_units: int) -> Activations:
    values = np.random.default_rng(0).normal(size=(N_SENTENCES, n_units)).astype(np.float16)
    return Activations(
        n_units, N_SENTENCES, lambda n: (values[:, i : i + n] for i in range(0, n_units, n))
    )


def task(
    membership: csr_matrix, labels: csr_matrix | None = None, n_units: int = 90
) -> PlantedTask:
    sets = csr_matrix((0, N_SENTENCES)) if labels is None else labels
    names = tuple(f"topic:{chr(97 + number)}" for number in range(sets.shape[0]))
    return PlantedTask(
        activations=real_units(n_units),
        membership=membership,
        labels=Labels(names, sets.astype(np.bool_)),
        rows=rows(),
        matching=MatchingSettings(null_neurons=16),
        seed=0,
    )


def only(
    figures: list[Figure], variant: str, metric: str, k: int | None, facet: str = ""
) -> Figure:
    asked = (variant, metric, k, facet)
    found = [each for each in figures if (each.variant, each.metric, each.k, each.facet) == asked]
    assert len(found) == 1, asked
    return found[0]


@pytest.fixture(scope="module")
def perfect() -> list[Figure]:
    """Topics are the catalog, and the labels too; the last four topics have no descriptor."""
    return planted_units(task(topics(0, 8), topics()), SETTINGS)


def test_strong_signals_are_found_whatever_the_number(perfect: list[Figure]) -> None:
    for k, ceiling in ((1, 0.4), (2, 0.7), (5, 1.0)):
        reached = only(perfect, "gold=descriptors strength=4", "R_ceiling", k)
        recall = only(perfect, "gold=descriptors strength=4", "R", k)
        assert reached.value == pytest.approx(ceiling)
        assert recall.value == pytest.approx(ceiling, abs=0.02)
        assert (recall.n, recall.null) == (40, 0.0)
    precision = only(perfect, "gold=descriptors strength=4", "P", 2)
    assert precision.value == pytest.approx(1.0, abs=0.02)
    assert (precision.n, precision.null) == (36, 0.0)
    # Two of eight topics are always predicted; 3.2 of eight are gold, for units with two or more.
    assert precision.baseline == pytest.approx(0.4, abs=0.15)
    assert only(perfect, "gold=descriptors strength=4", "described", None).value == 1.0
    assert only(perfect, "gold=descriptors strength=4", "gold_concepts", None).value == 3.0


def test_what_is_drowned_by_noise_is_not_found(perfect: list[Figure]) -> None:
    for metric, k in (("P", 1), ("R", 5), ("described", None)):
        assert only(perfect, "gold=descriptors strength=0.01", metric, k).value == 0.0


def test_units_without_a_signal_are_not_described(perfect: list[Figure]) -> None:
    for tail in "+-":
        found = only(
            perfect, f"gold=descriptors strength=4 unplanted tail={tail}", "described", None
        )
        assert (found.value, found.null, found.n) == (0.0, 0.0, 40)


def test_labels_without_a_descriptor_are_missed(perfect: list[Figure]) -> None:
    meant = only(perfect, "gold=labels every_concept", "meant_concepts", None, "topic")
    assert (meant.value, meant.n) == (pytest.approx(8 / 12), 12)
    variant = "gold=labels strength=4"
    found = only(perfect, variant, "R", 5, "topic")
    assert found.value == pytest.approx(8 / 12, abs=0.15)
    assert only(perfect, f"{variant} contained", "R", 5, "topic").value == found.value
    assert only(perfect, f"{variant} upper_bound", "R", 5, "topic").value == pytest.approx(1.0)
    assert found.null == 0.0


def test_readings_over_few_units_are_refused(perfect: list[Figure]) -> None:
    """Four units have one concept, eight have two, twelve three and sixteen four."""
    found = only(perfect, "gold=descriptors strength=4 number=2", "P", 2)
    assert (found.value, found.n) == (None, 8)
    assert "expected 20 or more" in found.reason


def test_numbers_are_told_apart_where_units_are_many() -> None:
    settings = PlantedSettings(units=80, strengths=(4.0,), number_shares=(0.25,) * 4)
    figures = planted_units(task(topics(), n_units=160), settings)
    for number in (1, 2, 3, 4):
        variant = f"gold=descriptors strength=4 number={number}"
        recall = only(figures, variant, "R", 1)
        assert (recall.value, recall.n) == (pytest.approx(1 / number, abs=0.03), 20)
        told = {each.k for each in figures if each.variant == variant and each.metric == "P"}
        assert told == {k for k in (1, 2, 5) if k <= number}


def test_a_corpus_without_labels_is_refused_in_part(perfect: list[Figure]) -> None:
    figures = planted_units(task(topics(0, 8)), SETTINGS)
    (refused,) = (each for each in figures if each.reason and "labels" in each.variant)
    assert (refused.variant, refused.value) == ("gold=labels", None)
    assert "the corpus has no labels" in refused.reason
    expected = [each for each in perfect if each.variant.startswith("gold=descriptors")]
    assert [each for each in figures if each is not refused] == expected


def test_rare_and_ubiquitous_concepts_are_refused() -> None:
    rare = np.zeros(N_SENTENCES, dtype=np.bool_)
    for own in (rows().discover, rows().validation, rows().test):
        rare[own[:19]] = True
    for members in (rare, TOPIC < 7):
        figures = planted_units(task(sets_of([members, TOPIC == 0])), SETTINGS)
        assert figures[0].metric == "refused"
        assert figures[0].n == 1
        assert "1 of 2 descriptors can be planted, expected 2 or more" in figures[0].reason


def test_too_few_units_are_refused() -> None:
    (refused,) = planted_units(task(topics(), topics(), n_units=39), SETTINGS)
    assert (refused.protocol, refused.metric, refused.n) == ("planted", "refused", 39)
    assert "expected 40 or more" in refused.reason


def test_a_catalog_without_descriptors_misses_every_label() -> None:
    figures = planted_units(task(csr_matrix((0, N_SENTENCES)), topics()), SETTINGS)
    assert figures[0].metric == "refused"
    found = only(figures, "gold=labels strength=4", "P", 1, "topic")
    assert (found.value, found.null, found.baseline, found.n) == (0.0, 0.0, 0.0, 40)
    (refused,) = (each for each in figures if each.variant == "gold=labels strength=4 meant")
    assert "that lack none" in refused.reason


def test_the_same_task_gives_the_same_figures(perfect: list[Figure]) -> None:
    assert planted_units(task(topics(0, 8), topics()), SETTINGS) == perfect


@pytest.mark.parametrize(
    "wrong",
    [
        {"strengths": (0.0,)},
        {"number_shares": (0.5, 0.4)},
        {"number_shares": (1.5, -0.5)},
        {"ks": (0, 1)},
        {"units": 3},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PlantedSettings.model_validate(wrong)


def ranking(chosen: list[list[int]]) -> Ranking:
    descriptors = np.zeros((len(chosen), 5), dtype=np.int64)
    for unit, own in enumerate(chosen):
        descriptors[unit, : len(own)] = own
    return Ranking(descriptors, np.array([len(own) for own in chosen]))


def inputs(repeated: int = 10) -> PlantedInputs:
    """Three planted units, over and over: all found, half found, nothing said; one not planted.

    Descriptors 0 to 2 mean labels 0 to 2, descriptor 3 is contained in label 3, 4 means nothing.
    """
    gold = np.zeros((3, 4), dtype=np.bool_)
    gold[0, 0], gold[1, [1, 3]], gold[2, [0, 2]] = True, True, True
    told, shuffled, upper = [[0, 4], [3, 1], []], [[4], [1], [1]], [[0], [1, 3], [2, 0]]
    meanings = np.eye(5, 4, dtype=np.bool_)
    meanings[3] = False
    one, none = ranking([[2]]), ranking([[]])
    sizes: IntArray = np.array([7, 9, 9, 8, 1])
    return PlantedInputs(
        gold=np.tile(gold, (repeated, 1)),
        meanings=meanings,
        contained=np.eye(5, 4, dtype=np.bool_),
        rankings=(joined(told * repeated, one), joined([[]] * 3 * repeated, none)),
        shuffled=(joined(shuffled * repeated, none), joined([[]] * 3 * repeated, none)),
        upper=(joined(upper * repeated, one), joined(upper * repeated, one)),
        descriptor_sizes=sizes,
        variant="gold=labels strength=1",
        seed=0,
    )


def joined(planted: list[list[int]], unplanted: Ranking) -> Ranking:
    """Ten units per kind, then twenty that are not planted."""
    first = ranking(planted)
    return Ranking(
        np.concatenate([first.descriptors, np.repeat(unplanted.descriptors, 20, axis=0)]),
        np.concatenate([first.lengths, np.repeat(unplanted.lengths, 20)]),
    )


@pytest.mark.parametrize(
    ("reading", "metric", "k", "value", "null", "baseline", "n"),
    [
        # First ranks: 0 is right, 3 means nothing, nothing said. Commonest are 1 and 2.
        ("", "P", 1, 1 / 3, 1 / 3, 1 / 3, 30),
        ("", "R", 1, 1 / 3, 1 / 2 / 3, 1 / 2 / 3, 30),
        # Only the last two kinds have two concepts: 1 of 4 ranks is right.
        ("", "P", 2, 1 / 4, 1 / 4, 1 / 2, 20),
        ("", "R", 2, (1 + 1 / 2) / 3, 1 / 2 / 3, (1 / 2 + 1 / 2) / 3, 30),
        ("", "R_ceiling", 1, (1 + 1 / 2 + 1 / 2) / 3, None, None, 30),
        ("", "R_ceiling", 2, 1.0, None, None, 30),
        ("", "described", None, 2 / 3, 1.0, None, 30),
        ("", "gold_concepts", None, 5 / 3, None, None, 30),
        (" contained", "P", 1, 2 / 3, 1 / 3, 1 / 3, 30),
        (" contained", "R", 2, 2 / 3, 1 / 2 / 3, (1 / 2 + 1 / 2) / 3, 30),
        # The second kind has a label that nothing means.
        (" meant", "P", 1, 1 / 2, 0.0, 0.0, 20),
        (" upper_bound", "P", 1, 1.0, None, None, 30),
        (" upper_bound", "R", 2, 1.0, None, None, 30),
        (" number=2", "R", 1, 0.0, 1 / 4, 1 / 4, 20),
        (" unplanted tail=+", "described", None, 1.0, 0.0, None, 20),
        (" unplanted tail=-", "described", None, 0.0, 0.0, None, 20),
    ],
)
def test_figures_by_hand(
    reading: str,
    metric: str,
    k: int | None,
    value: float,
    null: float | None,
    baseline: float | None,
    n: int,
) -> None:
    found = only(planted_figures(inputs(), (1, 2)), f"gold=labels strength=1{reading}", metric, k)
    expected = [None if each is None else pytest.approx(each) for each in (value, null, baseline)]
    assert [found.value, found.null, found.baseline] == expected
    assert (found.n, found.protocol, found.split) == (n, "planted", "validation")
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= value + 1e-12
    assert found.ci_high >= value - 1e-12


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"meanings": np.eye(4, dtype=np.bool_)}, "meanings have shape"),
        ({"contained": np.eye(4, dtype=np.bool_)}, "meanings have shape"),
        ({"gold": np.ones((60, 4), dtype=np.bool_)}, "gold has 60 units, the ranking 50"),
        ({"gold": np.zeros((30, 4), dtype=np.bool_)}, "no gold concept"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(wrong: dict[str, BoolArray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(inputs(), **wrong)
