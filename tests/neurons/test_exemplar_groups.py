from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import fisher_exact

from indexer.arrays import BoolArray, IntArray
from neurons.exemplar_groups import ExemplarGroups, ExemplarGroupSettings, distinct_groups

N_SETS = 15
N_SENTENCES = 1200


def random_sets(seed: int = 0) -> BoolArray:
    generator = np.random.default_rng(seed)
    shares = generator.uniform(0.08, 0.25, size=(N_SETS, 1))
    return np.asarray(generator.random((N_SETS, N_SENTENCES)) < shares)


def groups_of(
    exemplars: IntArray, sets: BoolArray, given_settings: ExemplarGroupSettings | None = None
) -> ExemplarGroups:
    rows = np.arange(sets.shape[1])
    chosen = given_settings or ExemplarGroupSettings(shuffles=0)
    return distinct_groups(exemplars, csr_matrix(sets * 0.5), rows, rows, chosen, 0)


def sets_of(*members: range | list[int], n_sentences: int = 400) -> BoolArray:
    sets = np.zeros((len(members), n_sentences), bool)
    for number, own in enumerate(members):
        sets[number, list(own)] = True
    return sets


EXEMPLARS = np.arange(20)


def test_groups_worked_by_hand() -> None:
    # Twelve exemplars in the first set, six in the second, one in the third by chance, one in none.
    sets = sets_of(range(12), [*range(12, 18), *range(100, 110)], [18, *range(200, 240)])
    found = groups_of(EXEMPLARS, sets)
    assert found.descriptors == (0, 1)
    assert found.exemplars == (tuple(range(12)), tuple(range(12, 18)))
    assert found.covered == 18 / 20


def test_a_set_that_overlaps_a_taken_one_is_no_group_of_its_own() -> None:
    # Seven of the second's 14 sentences are among the first's 30: an overlap of one half.
    first = [*range(12), *range(50, 68)]
    second = [*range(12, 19), *range(50, 57)]
    assert groups_of(EXEMPLARS, sets_of(first, second)).descriptors == (0,)
    looser = ExemplarGroupSettings(maximum_overlap=0.51, shuffles=0)
    assert groups_of(EXEMPLARS, sets_of(first, second), looser).descriptors == (0, 1)


def test_two_sets_that_hold_for_the_same_exemplars_are_one_group() -> None:
    first, second = [*range(15), *range(50, 90)], [*range(15), *range(100, 150)]
    found = groups_of(EXEMPLARS, sets_of(first, second))
    assert found.descriptors == (0,)
    assert found.covered == 15 / 20


def test_a_common_descriptor_has_no_advantage() -> None:
    # Half of all sentences and 14 exemplars, 4 beyond its base rate; ten exemplars and no other.
    common, rare = [*range(14), *range(50, 236)], range(10)
    found = groups_of(EXEMPLARS, sets_of(common, rare))
    assert found.descriptors == (1,)
    assert found.exemplars == (tuple(range(10)),)


def test_the_most_groups_are_kept_and_nothing_is_taken_without_sets() -> None:
    sets = sets_of(range(7), range(7, 13), range(13, 18))
    assert groups_of(EXEMPLARS, sets).descriptors == (0, 1, 2)
    assert groups_of(EXEMPLARS, sets, ExemplarGroupSettings(maximum_groups=2)).descriptors == (0, 1)
    nothing = groups_of(EXEMPLARS, sets[:0], ExemplarGroupSettings(shuffles=2))
    assert nothing == ExemplarGroups((), (), 0.0, (0.0, 0.0))


def expected_groups(
    exemplars: list[int], sets: BoolArray, chosen: ExemplarGroupSettings
) -> list[int]:
    """Greedy cover with Python sets and Fisher's exact test."""
    members = [set(np.flatnonzero(row).tolist()) for row in sets]
    population, left = set(range(sets.shape[1])), set(exemplars)
    taken: list[int] = []
    while left and len(taken) < chosen.maximum_groups:
        best, most = None, -np.inf
        for number, own in enumerate(members):
            others = population - left
            table = [
                [len(own & left), len(left - own)],
                [len(own & others), len(others - own)],
            ]
            chance = fisher_exact(np.array(table), alternative="greater").pvalue * len(members)
            overlaps = [
                len(own & members[each]) / max(1, min(len(own), len(members[each])))
                for each in taken
            ]
            beyond = len(own & left) - len(left) * len(own & population) / len(population)
            apart = all(overlap < chosen.maximum_overlap for overlap in overlaps)
            if chance <= chosen.family_wise_error and apart and beyond > most + 1e-9:
                best, most = number, beyond
        if best is None:
            break
        taken.append(best)
        population -= members[best] & left
        left -= members[best]
    return taken


@given(seed=st.integers(0, 10_000), maximum=st.sampled_from([0.3, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_groups_agree_with_python_sets_and_fishers_test(seed: int, maximum: float) -> None:
    generator = np.random.default_rng(seed)
    sets = generator.random((6, 50)) < generator.uniform(0.05, 0.5, size=(6, 1))
    exemplars = np.flatnonzero((sets[0] | sets[1]) & (generator.random(50) < 0.8))
    if not len(exemplars):
        return
    chosen = ExemplarGroupSettings(maximum_overlap=maximum, family_wise_error=0.5, shuffles=0)
    found = groups_of(exemplars, sets, chosen)
    assert list(found.descriptors) == expected_groups(exemplars.tolist(), sets, chosen)
    covered = [row for own in found.exemplars for row in own]
    assert len(covered) == len(set(covered)) == round(found.covered * len(exemplars))
    for number, own in zip(found.descriptors, found.exemplars, strict=True):
        assert set(own) <= set(np.flatnonzero(sets[number])) & set(exemplars)


def test_random_exemplars_have_no_groups() -> None:
    sets = random_sets()
    generator = np.random.default_rng(2)
    counts = [
        len(groups_of(generator.choice(N_SENTENCES, 40, replace=False), sets).descriptors)
        for _ in range(100)
    ]
    assert sum(count > 0 for count in counts) <= 8


def test_the_null_of_the_cover_is_small_and_seeded() -> None:
    sets = random_sets()
    rows = np.arange(N_SENTENCES)
    exemplars = np.flatnonzero(sets[3])[:40]
    loose = ExemplarGroupSettings(family_wise_error=0.9, shuffles=40)
    membership = csr_matrix(sets)
    found = distinct_groups(exemplars, membership, rows, rows, loose, 1)
    assert found.covered == 1.0
    assert len(found.null) == 40
    assert 0.0 < np.mean(found.null) < 0.35
    assert found == distinct_groups(exemplars, membership, rows, rows, loose, 1)
    assert found.null != distinct_groups(exemplars, membership, rows, rows, loose, 2).null


def test_only_the_given_rows_count_and_neither_order_does() -> None:
    sets = random_sets()
    rows = np.random.default_rng(9).permutation(N_SENTENCES)[: N_SENTENCES // 2]
    exemplars = np.intersect1d(rows, np.flatnonzero(sets[3] | sets[5]))[:60]
    changed = sets.copy()
    changed[:, np.setdiff1d(np.arange(N_SENTENCES), rows)] = True
    plain, documents = ExemplarGroupSettings(shuffles=0), np.arange(N_SENTENCES)
    found = distinct_groups(exemplars, csr_matrix(sets), rows, documents, plain, 0)
    assert set(found.descriptors) == {3, 5}
    other = distinct_groups(
        exemplars[::-1], csr_matrix(changed), np.sort(rows), documents, plain, 0
    )
    assert found.descriptors == other.descriptors
    assert [sorted(own) for own in found.exemplars] == [list(own) for own in other.exemplars]


@pytest.mark.parametrize(
    ("exemplars", "rows", "n_documents", "message"),
    [
        ([1], [0, 1], 5, "covers 9 sentences, documents cover 5"),
        ([1], [], 9, "^rows: found no rows"),
        ([], [0, 1], 9, "exemplar_rows: found no rows"),
        ([1], [0, 1, 9], 9, "^rows: found rows 0 to 9, expected some of 0 to 8"),
        ([-1], [0, 1], 9, "exemplar_rows: found rows -1 to -1"),
        ([1, 1], [0, 1], 9, "exemplar_rows: found 2 rows, 1 different"),
        ([1], [0, 1, 1], 9, "^rows: found 3 rows, 2 different"),
        ([1, 4], [0, 1], 9, "exemplar_rows has 4, expected some of the 2 rows"),
    ],
)
def test_groups_of_rows_that_do_not_fit_are_refused(
    exemplars: list[int], rows: list[int], n_documents: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        distinct_groups(
            np.array(exemplars, np.int64),
            csr_matrix((2, 9)),
            np.array(rows, np.int64),
            np.arange(n_documents),
            ExemplarGroupSettings(),
            0,
        )
