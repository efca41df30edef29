"""Groups by several spaces beside those by the first of them alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from descriptors.grouping_settings import GroupingSettings
from descriptors.groups import Grouping, NoClusterError, clusterings_of, grouping_of
from descriptors.views import Space
from indexer.arrays import IntArray


@dataclass(frozen=True)
class AlternativeGroupings:
    """Groups by all spaces, each at its own best granularity, and by the first space alone.

    `by_all_as_fine` is by all spaces at the granularity of the first: beside `by_first` it shows
    what the other spaces bring, and not what other numbers of clusters do.
    """

    by_all: Grouping
    by_first: Grouping
    by_all_as_fine: Grouping


def alternative_groupings(
    spaces: Sequence[Space],
    discover: IntArray,
    validation: IntArray,
    settings: GroupingSettings,
    seed: int,
) -> AlternativeGroupings | Grouping:
    """Groups by all spaces and what they are to be compared with; see `form_groups`.

    The clusterings that they have in common are made once. Where there is one space only, or the
    first alone has no cluster that is large enough, there is no alternative to the groups by all.
    """
    clusterings, rows = clusterings_of(spaces, discover, validation, settings, seed)
    by_all = grouping_of(clusterings, rows, settings)
    if len(clusterings) == 1:
        return by_all
    first = clusterings[0]
    try:
        alone = grouping_of([first], rows, settings)
    except NoClusterError:
        return by_all
    as_fine = all(each.best == first.best for each in clusterings)
    return AlternativeGroupings(
        by_all=by_all,
        by_first=alone,
        by_all_as_fine=by_all
        if as_fine
        else grouping_of(clusterings, rows, settings, best=first.best),
    )
