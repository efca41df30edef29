from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.batching import batches


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), budget=st.integers(1, 200))
def test_batches_hold_every_text_once_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    sizes = np.asarray(lengths, dtype=np.int64)
    found = list(batches(sizes, budget))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    alone = {length for length in lengths if length * lengths.count(length) * 4 >= budget}
    for batch in found:
        assert len(batch) == 1 or len(batch) * sizes[batch].max() <= budget
        assert len(set(sizes[batch])) == 1 or not alone & set(sizes[batch])
    # Neighbours that could have shared a batch with one more text are of a length on its own.
    for batch, following in pairwise(found):
        fits = (len(batch) + 1) * sizes[following[0]] <= budget
        assert not fits or {sizes[batch[-1]], sizes[following[0]]} & alone
