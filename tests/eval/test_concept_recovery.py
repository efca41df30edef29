"""The concept side on units that carry labels weakly, against an oracle that counts one by one."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from descriptors.corpus import Labels
from eval.concept_recovery import ConceptSets, labels_with_a_descriptor
from eval.concept_units import Evidence, EvidenceCollector, Picked, combined_auroc
from eval.label_recovery import (
    LabelRecoverySettings,
    LabelRecoveryTask,
    Population,
    recover_labels,
)
from eval.metrics import Ranking
from eval.records import Figure
from neurons.matching import MatchingSettings
from neurons.split_rows import Activations, SplitRows

N_SENTENCES = 480
N_UNITS = 48
N_BEST = 8
CARRIED = 6
TOPIC = np.arange(N_SENTENCES) % 4
MATCHING = MatchingSettings(null_neurons=16, null_repeats=2)
SETTINGS = LabelRecoverySettings(concept_units=N_BEST, minimum_positives=20)

# Which topics descriptors 0 to 2 are about; the others are about nothing.
ABOUT = (0, 1, 1)
N_DESCRIPTORS = 8


def rows() -> SplitRows:
    block = np.arange(N_SENTENCES) // 4 % 8
    return SplitRows(
        discover=np.flatnonzero(block < 4),
        validation=np.flatnonzero(block == 4),
        test=np.flatnonzero(block > 4),
        documents=np.arange(N_SENTENCES),
    )


def activations() -> NDArray[np.float64]:
    """Six units for each of three topics, half of them by their negative tail; one unit is dead."""
    values = np.random.default_rng(5).normal(size=(N_SENTENCES, N_UNITS))
    for topic in range(3):
        for place in range(CARRIED):
            sign = 1.0 if place % 2 else -1.0
            values[:, topic * CARRIED + place] += sign * 0.9 * (topic == TOPIC)
    values[:, -1] = 3.0
    return values * np.linspace(1.0, 500.0, N_UNITS) + 7.0


def as_read(values: NDArray[np.float64]) -> Activations:
    def blocks(n_units: int) -> Iterator[NDArray[np.float64]]:
        for first in range(0, values.shape[1], n_units):
            yield values[:, first : first + n_units]

    return Activations(values.shape[1], len(values), blocks)


def label_sets() -> NDArray[np.bool_]:
    return np.array([topic == TOPIC for topic in range(3)])


def descriptor_sets() -> NDArray[np.bool_]:
    generator = np.random.default_rng(8)
    sets = generator.random((N_DESCRIPTORS, N_SENTENCES)) < 0.25
    for place, topic in enumerate(ABOUT):
        sets[place] = (topic == TOPIC) ^ (generator.random(N_SENTENCES) < 0.06)
    return sets


def task() -> LabelRecoveryTask:
    nothing = Ranking(np.zeros((N_UNITS, 5), np.int64), np.zeros(N_UNITS, np.int64))
    return LabelRecoveryTask(
        activations=as_read(activations()),
        membership=csr_matrix(descriptor_sets().astype(np.float64)),
        rankings=(nothing, nothing),
        populations=(Population("ffn", np.arange(N_UNITS)),),
        labels=Labels(("t:0", "t:1", "t:2"), csr_matrix(label_sets())),
        rows=rows(),
        settings=MATCHING,
        seed=0,
    )


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return recover_labels(task(), SETTINGS)


def only(figures: list[Figure], variant: str, metric: str, k: int | None) -> Figure:
    found = [f for f in figures if (f.variant, f.metric, f.k) == (variant, metric, k)]
    assert len(found) == 1, (variant, metric, k, len(found))
    return found[0]


def area(members: NDArray[np.bool_], own: NDArray[np.int64]) -> NDArray[np.float64]:
    values = activations()[own]
    return np.array([roc_auc_score(members[own], column) for column in values.T])


def fit_and_sign(members: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lower bound of the AUROC on discover and validation together, of the better tail."""
    own = rows()
    n_rarer = [
        min(members[split].sum(), (~members[split]).sum())
        for split in (own.discover, own.validation)
    ]
    pooled = (
        area(members, own.discover) * n_rarer[0] + area(members, own.validation) * n_rarer[1]
    ) / sum(n_rarer)

    def bound(tail: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = np.clip(tail, 0.5 / (sum(n_rarer) + 1), 1 - 0.5 / (sum(n_rarer) + 1))
        return tail - 2.0 * np.sqrt(inside * (1 - inside) / sum(n_rarer))

    positive, negative = bound(pooled), bound(1.0 - pooled)
    return np.maximum(positive, negative).astype(np.float32), np.where(
        negative > positive, -1.0, 1.0
    )


def oracle(predictors: list[list[NDArray[np.bool_]]]) -> dict[tuple[str, int | None], float]:
    """All figures for some sets for each label; none is nothing known."""
    own, values = rows(), activations()
    spread = values[own.discover].std(axis=0)
    moving = spread > 1e-9
    scaled = np.zeros((len(own.test), N_UNITS))
    scaled[:, moving] = (values[own.test] - values[own.discover].mean(axis=0))[:, moving]
    scaled[:, moving] /= spread[moving]
    found: dict[tuple[str, int | None], list[float]] = {}

    def add(metric: str, k: int | None, value: float) -> None:
        found.setdefault((metric, k), []).append(value)

    for label, sets in zip(label_sets(), predictors, strict=True):
        on_test = area(label, own.test)
        better = np.maximum(on_test, 1.0 - on_test).astype(np.float32)
        if not sets:
            for metric, k, value in (
                ("P", N_BEST, 0), ("Spearman", None, 0), ("AUROC", N_BEST, 0.5), ("AUROC", 1, 0.5),
            ):  # fmt: skip
                add(metric, k, value)
            continue
        each = [fit_and_sign(members) for members in sets]
        best = np.argmax([fit for fit, _ in each], axis=0)
        fit = np.array([each[place][0][unit] for unit, place in enumerate(best)])
        sign = np.array([each[place][1][unit] for unit, place in enumerate(best)])
        chosen = np.argsort(-fit, kind="stable")[:N_BEST]
        gold = set(np.argsort(-better, kind="stable")[:N_BEST].tolist())
        add("P", N_BEST, len(gold & set(chosen.tolist())) / N_BEST)
        add("Spearman", None, spearmanr(fit, better).statistic)
        mean = (scaled[:, chosen] * sign[chosen]).mean(axis=1)
        add("AUROC", N_BEST, float(roc_auc_score(label[own.test], mean)))
        single = scaled[:, chosen[0]] * sign[chosen[0]]
        add("AUROC", 1, float(roc_auc_score(label[own.test], single)))
    return {key: float(np.mean(numbers)) for key, numbers in found.items()}


def test_figures_agree_with_an_oracle(figures: list[Figure]) -> None:
    descriptors = descriptor_sets()
    meant = [[descriptors[place] for place in range(3) if ABOUT[place] == t] for t in range(3)]
    for reading, predictors in (
        ("concept", meant),
        ("concept upper_bound", [[label] for label in label_sets()]),
    ):
        for (metric, k), value in oracle(predictors).items():
            figure = only(figures, f"{reading} site=ffn", metric, k)
            assert figure.value == pytest.approx(value, abs=1e-5), (reading, metric, k)
            assert (figure.n, figure.facet, figure.split) == (3, "t", "test")
            assert figure.ci_low is not None
            assert figure.ci_high is not None
            assert figure.ci_low <= figure.value <= figure.ci_high


def test_descriptors_beat_their_controls_and_labels_beat_them(figures: list[Figure]) -> None:
    for metric, k, nothing in (
        ("P", N_BEST, N_BEST / N_UNITS), ("Spearman", None, 0.0), ("AUROC", N_BEST, 0.5),
        ("AUROC", 1, 0.5),
    ):  # fmt: skip
        figure = only(figures, "concept site=ffn", metric, k)
        upper = only(figures, "concept upper_bound site=ffn", metric, k).value
        assert figure.value is not None
        assert figure.null is not None
        assert figure.baseline is not None
        assert upper is not None
        assert upper > figure.value > max(figure.null, figure.baseline)
        assert figure.null == pytest.approx(nothing, abs=0.2)
        assert figure.baseline == pytest.approx(nothing, abs=0.2)
    chance = only(figures, "concept chance site=ffn", "P", N_BEST)
    assert (chance.value, chance.null, chance.n) == (N_BEST / N_UNITS, None, 3)
    # Six units carry a topic, and a mean of eight tells it better than the best unit.
    mean = only(figures, "concept upper_bound site=ffn", "AUROC", N_BEST).value
    single = only(figures, "concept upper_bound site=ffn", "AUROC", 1).value
    assert mean is not None
    assert single is not None
    assert mean > single


def test_labels_without_a_descriptor_are_counted(figures: list[Figure]) -> None:
    counted = only(figures, "concept", "labels_with_a_descriptor", None)
    assert (counted.value, counted.null, counted.n, counted.split) == (2.0, 0.0, 3, "validation")


def test_too_few_units_are_refused() -> None:
    (refused,) = [
        each
        for each in recover_labels(task(), SETTINGS.model_copy(update={"concept_units": 25}))
        if each.variant == "concept site=ffn"
    ]
    assert (refused.value, refused.metric, refused.k, refused.n) == (None, "P", 25, N_UNITS)
    assert refused.reason.startswith("ffn has 48 units, expected at least 50")


def test_blocks_and_repetition_do_not_matter(
    figures: list[Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recover_labels(task(), SETTINGS) == figures
    monkeypatch.setattr("neurons.split_rows.block_units", lambda _: 5)
    assert recover_labels(task(), SETTINGS) == figures


def test_populations_pick_among_their_own_units(figures: list[Figure]) -> None:
    """Units that carry nothing are added in front; as a population of their own they are chance."""
    noise = np.random.default_rng(2).normal(size=(N_SENTENCES, 20))
    wider = replace(
        task(),
        activations=as_read(np.hstack([noise, activations()])),
        rankings=tuple(
            Ranking(np.zeros((N_UNITS + 20, 5), np.int64), np.zeros(N_UNITS + 20, np.int64))
            for _ in range(2)
        ),
        populations=(
            Population("noise", np.arange(20)),
            Population("ffn", np.arange(20, 20 + N_UNITS)),
        ),
    )
    found = recover_labels(wider, SETTINGS)
    # But for the null thresholds, which no evidence depends on, units of one site are all there is.
    for metric, k in (("P", N_BEST), ("Spearman", None), ("AUROC", N_BEST), ("AUROC", 1)):
        assert only(found, "concept site=ffn", metric, k) == only(
            figures, "concept site=ffn", metric, k
        )
        alone = only(found, "concept upper_bound site=noise", metric, k)
        assert alone.value is not None
        assert alone.value < (only(figures, "concept site=ffn", metric, k).value or 0.0)


def test_evidence_is_of_the_best_set_and_tail() -> None:
    generator = np.random.default_rng(0)
    positive, negative = generator.normal(size=(2, 5, 7)).astype(np.float32).astype(np.float64)
    collector = EvidenceCollector([np.array([0, 3]), np.array([], dtype=np.int64), np.array([4])])
    for block in (slice(0, 2), slice(2, 7)):
        collector.add((positive[:, block], negative[:, block]))
    found = collector.result()
    assert found.known.tolist() == [True, False, True]
    for unit in range(7):
        sides = [
            [positive[each, unit] for each in (0, 3)],
            [negative[each, unit] for each in (0, 3)],
        ]
        assert found.fit[0, unit] == max(map(max, sides))
        assert found.negative[0, unit] == (max(sides[1]) > max(sides[0]))
        assert found.fit[2, unit] == max(positive[4, unit], negative[4, unit])
    assert not found.fit[1].any()
    best = found.take(np.array([6, 1, 2])).best(2)
    assert best.units.shape == (3, 2)
    expected = np.argsort(-found.fit[0, [6, 1, 2]])[:2]
    np.testing.assert_array_equal(best.units[0], expected)
    np.testing.assert_array_equal(best.negative[0], found.negative[0, [6, 1, 2]][expected])


def test_evidence_from_auroc_takes_the_better_tail() -> None:
    evidence = Evidence.of_auroc(np.array([[0.9, 0.2, 0.5]]))
    assert evidence.fit.tolist() == [pytest.approx([0.9, 0.8, 0.5])]
    assert evidence.negative.tolist() == [[False, True, False]]


def test_a_mean_of_nothing_knows_nothing() -> None:
    unknown = Picked(
        np.zeros((3, 2), np.int64), np.zeros((3, 2), np.bool_), np.zeros(3, dtype=np.bool_)
    )
    dead = replace(unknown, units=np.full((3, 2), N_UNITS - 1), known=np.ones(3, dtype=np.bool_))
    found = combined_auroc(
        as_read(activations()),
        np.arange(N_UNITS),
        [unknown, dead],
        csr_matrix(label_sets()),
        rows(),
    )
    assert found.tolist() == [[0.5] * 3] * 2


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_stand_ins_are_unrelated_and_of_like_size(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n_descriptors, n_labels = int(generator.integers(0, 40)), 4
    labels = generator.integers(-1, n_labels, size=n_descriptors)
    means = labels[:, None] == np.arange(n_labels)
    related = means | (generator.random(means.shape) < 0.2)
    sizes = generator.integers(5, 200, size=n_descriptors)
    label_sizes = generator.integers(5, 200, size=n_labels)
    drawn = ConceptSets.draw(means, related, sizes, label_sizes, seed)
    for label in range(n_labels):
        meant = np.flatnonzero(means[:, label])
        np.testing.assert_array_equal(drawn.descriptors[label], meant)
        random = drawn.random[label]
        unrelated = np.flatnonzero(~related[:, label])
        assert len(random) == (max(1, meant.size) if unrelated.size else 0)
        np.testing.assert_array_equal(drawn.shuffled[label], meant if meant.size else random)
        for place, wanted in zip(random, sizes[meant] if meant.size else [label_sizes[label]]):  # noqa: B905
            closer = np.abs(sizes[unrelated] - wanted) < abs(sizes[place] - wanted)
            assert place in unrelated
            assert closer.sum() < 10
    again = ConceptSets.draw(means, related, sizes, label_sizes, seed)
    for one, other in zip(drawn.random, again.random, strict=True):
        np.testing.assert_array_equal(one, other)


def test_counting_labels_with_a_descriptor() -> None:
    means = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=np.bool_)
    figure = labels_with_a_descriptor(means, np.zeros((3, 3), dtype=np.bool_), "topic")
    assert (figure.value, figure.null, figure.n, figure.variant) == (2.0, 0.0, 3, "concept")
