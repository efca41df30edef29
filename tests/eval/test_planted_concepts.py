"""Which descriptors and labels can be planted, and which descriptors mean them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.corpus import Labels
from eval.planted_concepts import Plantable, catalog_concepts, label_concepts, no_labels
from indexer.arrays import BoolArray
from indexer.errors import InputError
from neurons.matching import MatchingSettings
from neurons.split_rows import SplitRows

ROWS = SplitRows(
    discover=np.arange(100),
    validation=np.arange(100, 130),
    test=np.arange(130, 200),
    documents=np.arange(200),
)
PLANTABLE = Plantable(
    rows=ROWS, matching=MatchingSettings(), minimum_positives=20, maximum_share=0.5
)


def members(discover: int, validation: int, test: int) -> BoolArray:
    """The first sentences of each split."""
    found = np.zeros(200, dtype=np.bool_)
    splits = (ROWS.discover, ROWS.validation, ROWS.test)
    for own, count in zip(splits, (discover, validation, test), strict=True):
        found[own[:count]] = True
    return found


SETS = csr_matrix(
    np.array(
        [
            members(20, 2, 2),  # just enough
            members(19, 9, 9),  # too few on discover
            members(20, 1, 9),  # the matcher could not judge it on validation
            members(50, 2, 20),  # half of discover
            members(51, 9, 30),  # more than half
            members(30, 29, 40),  # too few others on validation
        ],
        dtype=np.float64,
    )
)


def test_sets_must_be_judged_and_neither_rare_nor_everywhere() -> None:
    assert PLANTABLE.among(SETS).tolist() == [0, 3]
    assert replace(PLANTABLE, on_test=True).among(SETS).tolist() == [3]
    assert replace(PLANTABLE, minimum_positives=19).among(SETS).tolist() == [0, 1, 3]
    assert replace(PLANTABLE, maximum_share=0.6).among(SETS).tolist() == [0, 3, 4]
    assert PLANTABLE.among(SETS[:0]).tolist() == []


def test_descriptors_mean_themselves() -> None:
    concepts = catalog_concepts(SETS, PLANTABLE)
    assert (concepts.n_concepts, concepts.n_all, concepts.are_labels) == (2, 6, False)
    assert np.argwhere(concepts.meanings).tolist() == [[0, 0], [3, 1]]
    assert (concepts.sets != SETS[[0, 3]]).nnz == 0
    (counted,) = concepts.figures("planted", "validation")
    assert (counted.metric, counted.value, counted.n) == ("plantable_concepts", 2.0, 6)


def test_labels_are_meant_by_descriptors_of_like_sentences_on_validation() -> None:
    """Descriptor 0 shares half of label a on validation: F1 2/3; descriptor 1 little of label b."""
    on_validation = np.zeros((2, 30), dtype=np.bool_)
    on_validation[0, :10], on_validation[1, 20:] = True, True
    labels = Labels(
        ("topic:a", "topic:b", "topic:rare", "tone:c"),
        csr_matrix(
            np.array(
                [with_validation(own) for own in on_validation]
                + [members(3, 3, 3), members(30, 9, 30)]
            )
        ),
    )
    descriptors = np.zeros((2, 200))
    descriptors[0, 100:105] = descriptors[1, 118:122] = 1.0
    concepts = label_concepts(labels, "topic", csr_matrix(descriptors), PLANTABLE)
    assert (concepts.n_concepts, concepts.n_all, concepts.facet) == (2, 3, "topic")
    assert concepts.meanings.tolist() == [[True, False], [False, False]]
    assert concepts.contained is not None
    assert concepts.contained.tolist() == [[True, False], [False, True]]
    counted, meant = concepts.figures("planted", "validation")
    assert (counted.value, counted.n, meant.value, meant.n) == (2.0, 3, 0.5, 2)
    assert {counted.variant, meant.variant} == {"gold=labels every_concept"}
    assert concepts.refusal("planted", "validation", PLANTABLE) == []
    with pytest.raises(InputError, match="no label has the facet 'colour'"):
        label_concepts(labels, "colour", csr_matrix(descriptors), PLANTABLE)


def with_validation(own: BoolArray) -> BoolArray:
    found = members(30, 0, 20)
    found[ROWS.validation] = own
    return found


def test_one_class_is_refused_with_what_would_work() -> None:
    labels = Labels(("topic:a", "topic:b"), SETS[[0, 4]].astype(np.bool_))
    concepts = label_concepts(labels, "topic", SETS, PLANTABLE)
    (refused,) = concepts.refusal("planted_model", "test", replace(PLANTABLE, minimum_positives=10))
    assert (refused.variant, refused.facet, refused.n) == ("gold=labels", "topic", 1)
    assert refused.reason == (
        "1 of 2 labels of the facet 'topic' can be planted, expected 2 or more that hold for 10 "
        "sentences or more on discover, and for 50% of discover at most; use a larger corpus"
    )
    (refused,) = catalog_concepts(SETS[:1], PLANTABLE).refusal("planted", "validation", PLANTABLE)
    assert refused.reason.startswith("1 of 1 descriptors can be planted")


def test_labels_that_are_missing_are_said_to_be() -> None:
    refused = no_labels("planted", "validation")
    assert (refused.variant, refused.value, refused.n) == ("gold=labels", None, 0)
    assert "the corpus has no labels" in refused.reason
