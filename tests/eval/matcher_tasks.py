"""Small random tasks for matchers, with many equal activations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from eval.matcher_task import MatcherTask, RivalSettings
from indexer.arrays import FloatArray
from neurons.split_rows import Activations, SplitRows

N_SENTENCES, N_UNITS, N_SETS = 90, 14, 9
LAYERS = np.array([0] * 5 + [1] * 3 + [2] * 6)


def held(values: NDArray[np.floating[Any]], at_once: int | None = None) -> Activations:
    """Activations in memory, in blocks of at most `at_once` units."""

    def blocks(units: int) -> Any:
        width = min(units, at_once or units)
        return (values[:, first : first + width] for first in range(0, values.shape[1], width))

    return Activations(values.shape[1], len(values), blocks)


def split_rows(n_sentences: int = N_SENTENCES) -> SplitRows:
    """Splits that lie in one another; two sentences a document."""
    order = np.arange(n_sentences)
    return SplitRows(
        discover=np.sort(np.concatenate([order[0::6], order[1::6], order[5::6]])),
        validation=order[2::6],
        test=np.sort(np.concatenate([order[3::6], order[4::6]])),
        documents=order // 2,
    )


def unit_vectors(generator: np.random.Generator, n_rows: int, dimension: int = 6) -> FloatArray:
    """Random directions."""
    vectors = generator.normal(size=(n_rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def random_task(seed: int, dtype: Any = np.float16, **changes: Any) -> MatcherTask:
    """A task whose activations repeat; set 0 holds for no sentence, set 1 for all of them."""
    generator = np.random.default_rng(seed)
    values = (generator.integers(-6, 7, size=(N_SENTENCES, N_UNITS)) / 4).astype(dtype)
    members = generator.random((N_SETS, N_SENTENCES)) < generator.random((N_SETS, 1)) * 0.5
    members[0], members[1] = False, True
    told: dict[str, Any] = {
        "activations": held(values, at_once=4),
        "membership": csr_matrix(members.astype(np.float32) * 0.5),
        "rows": split_rows(),
        "layers": LAYERS,
        "sentence_vectors": unit_vectors(generator, N_SENTENCES),
        "descriptor_vectors": unit_vectors(generator, N_SETS),
        "settings": RivalSettings(n_exemplars=7, top_share=0.2),
        "n_ranks": 4,
    }
    return MatcherTask(**(told | changes))


def every_activation(task: MatcherTask) -> NDArray[np.floating[Any]]:
    """The activations of a task in one piece (`n_sentences, n_units`)."""
    return np.concatenate(list(task.activations.blocks(3)), axis=1)


def ranked_lists(ranking: Any) -> list[list[int]]:
    """The descriptors of each neuron, without what lies beyond its length."""
    return [
        places[:length].tolist()
        for places, length in zip(ranking.descriptors, ranking.lengths, strict=True)
    ]
