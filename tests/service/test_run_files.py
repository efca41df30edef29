"""What a run has left on disk, as `explain` and the evaluation read it."""

import numpy as np

from neurons.records import Tail
from service.evaluated_run import EvaluatedRun


def test_parts_fit_each_other(evaluated_run: EvaluatedRun) -> None:
    n_sentences, n_neurons = len(evaluated_run.corpus), len(evaluated_run.neurons)
    assert evaluated_run.labels.membership.shape == (len(evaluated_run.labels), n_sentences)
    assert evaluated_run.embeddings.shape[0] == evaluated_run.vectors.shape[0] == n_sentences
    assert evaluated_run.activations.n_neurons == n_neurons
    assert evaluated_run.activations.n_sentences == n_sentences
    assert evaluated_run.whitening.projection.shape[1] == evaluated_run.vectors.shape[1]


def test_rankings_are_those_of_the_explanations(evaluated_run: EvaluatedRun) -> None:
    assert any(each.matches for each in evaluated_run.explanations.values())
    for tail, ranking in zip((Tail.POSITIVE, Tail.NEGATIVE), evaluated_run.rankings, strict=True):
        for number, neuron in enumerate(evaluated_run.neurons):
            shown = evaluated_run.explanations[(neuron, tail)].matches[:5]
            ranked = ranking.descriptors[number, : ranking.lengths[number]]
            names = [evaluated_run.catalog[place].text for place in ranked]
            assert names == [match.descriptor for match in shown]


def test_progress_passes_blocks_on(evaluated_run: EvaluatedRun) -> None:
    blocks = [np.zeros((3, 2)), np.ones((3, 1))]
    passed = list(evaluated_run.watched("counting")(blocks, 3))
    assert all(one is other for one, other in zip(blocks, passed, strict=True))
