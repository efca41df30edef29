from __future__ import annotations

import numpy as np
import pytest

from descriptors.alternative_groupings import AlternativeGroupings, alternative_groupings
from descriptors.grouping_settings import GroupingSettings
from descriptors.groups import Grouping, form_groups
from descriptors.views import Space, WeightedView
from indexer.arrays import FloatArray, IntArray
from indexer.errors import InputError

pytestmark = pytest.mark.usefixtures("one_faiss_thread")

SETTINGS = GroupingSettings(minimum_group=4, mean_group=6, minimum_groups=2)
DISCOVER = np.flatnonzero(np.arange(480) % 3)
VALIDATION = np.arange(0, 480, 3)


def planted(n_clusters: int, seed: int) -> tuple[FloatArray, IntArray]:
    """480 unit vectors in clusters of one size, and the cluster of each."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(n_clusters), 480 // n_clusters))
    near = random.normal(size=(n_clusters, 32))[labels] + 0.1 * random.normal(size=(480, 32))
    vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
    return np.asarray(vectors, dtype=np.float32), labels


def space(name: str, vectors: FloatArray) -> Space:
    return Space((WeightedView(name, vectors.__getitem__),))


def alternatives(
    spaces: list[Space], settings: GroupingSettings = SETTINGS
) -> AlternativeGroupings | Grouping:
    return alternative_groupings(spaces, DISCOVER, VALIDATION, settings, 0)


def fewest(grouping: Grouping, name: str) -> int:
    """The smallest number of clusters that voted in a space: its multiple 1."""
    return min(each.n_clusters for each in grouping.chosen if each.space == name)


def test_each_is_what_it_would_be_if_formed_alone() -> None:
    coarse, fine = space("coarse", planted(8, 0)[0]), space("fine", planted(32, 1)[0])
    found = alternatives([coarse, fine])
    assert isinstance(found, AlternativeGroupings)
    assert found.by_all == form_groups([coarse, fine], DISCOVER, VALIDATION, SETTINGS, 0)
    assert found.by_first == form_groups([coarse], DISCOVER, VALIDATION, SETTINGS, 0)
    assert found.by_all.spaces == found.by_all_as_fine.spaces == ("coarse", "fine")
    assert found.by_first.spaces == ("coarse",)
    assert fewest(found.by_all, "coarse") < fewest(found.by_all, "fine")
    own = fewest(found.by_first, "coarse")
    assert fewest(found.by_all_as_fine, "coarse") == fewest(found.by_all_as_fine, "fine") == own


def test_spaces_of_one_granularity_are_compared_as_they_are() -> None:
    vectors, _ = planted(16, 0)
    found = alternatives([space("one", vectors), space("two", vectors[:, ::-1])])
    assert isinstance(found, AlternativeGroupings)
    assert found.by_all_as_fine == found.by_all


def test_one_space_has_no_alternative() -> None:
    only = space("only", planted(16, 0)[0])
    assert alternatives([only]) == form_groups([only], DISCOVER, VALIDATION, SETTINGS, 0)


def test_a_first_space_without_large_clusters_is_no_alternative() -> None:
    small, labels = planted(40, 0)
    one_large = np.where(labels[:, np.newaxis] < 20, small[:1], small)
    spaces = [space("small", small), space("large", one_large)]
    settings = replace_sizes(minimum_group=120)
    with pytest.raises(InputError, match="no cluster of 320 sentences"):
        form_groups(spaces[:1], DISCOVER, VALIDATION, settings, 0)
    found = alternatives(spaces, settings)
    assert isinstance(found, Grouping)
    assert found == form_groups(spaces, DISCOVER, VALIDATION, settings, 0)
    assert {labels[row] for row in found.groups[0].rows} >= set(range(20))


def replace_sizes(**sizes: int) -> GroupingSettings:
    return SETTINGS.model_copy(update=sizes)
