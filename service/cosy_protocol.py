"""CoSy on a run: are its neurons more active on texts about their descriptions than on others?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from service.tail_samples import described_samples

if TYPE_CHECKING:
    from eval.cosy import ConceptTexts, CosySettings
    from eval.records import Figure
    from neurons.split_rows import Activations, Block
    from service.evaluated_run import EvaluatedRun


def figures(
    run: EvaluatedRun,
    settings: CosySettings,
    generated: Mapping[str, Sequence[str]] | None = None,
) -> list[Figure]:
    """AUROC and MAD of every sampled neuron; see `eval.cosy`.

    Args:
        run: the run.
        settings: what is judged.
        generated: texts about descriptors, by the descriptor's text, in place of retrieved ones;
            the run's subject model reads them. Descriptors with fewer texts than
            `concept_texts` are not judged. Writing such texts is left to the caller.

    Raises:
        InputError: generated texts are given and the run has imported its activations.
    """
    from eval.cosy import PROTOCOL, CosyTask, cosy
    from eval.records import Figure
    from neurons.auroc import set_sizes

    rows = run.split_rows
    needed = 2 * settings.concept_texts
    if rows.test.size < needed:
        reason = (
            f"found {rows.test.size} test sentences, expected {settings.concept_texts} concept "
            f"texts and as many controls; a corpus with {needed} test sentences or more would do"
        )
        return [Figure.refused(PROTOCOL, reason, n=rows.test.size)]
    if generated is None:
        texts, activations = _retrieved(run, settings), run.activations
    else:
        texts, activations = _generated(run, settings, generated)
    task = CosyTask(
        activations=activations,
        texts=texts,
        sizes=set_sizes(run.membership[:, rows.discover]),
        samples=described_samples(run, settings.neurons),
        seed=run.settings.seed,
        watch=run.watched("cosy"),
    )
    return cosy(task, settings)


def _retrieved(run: EvaluatedRun, settings: CosySettings) -> ConceptTexts:
    from eval.cosy import retrieved_texts

    names = [descriptor.text for descriptor in run.catalog]
    test = run.split_rows.test
    return retrieved_texts(
        run.whitening.apply(run.encoder.encode(names)),
        run.vectors[test],
        test,
        settings,
        run.settings.seed,
    )


def _generated(
    run: EvaluatedRun, settings: CosySettings, generated: Mapping[str, Sequence[str]]
) -> tuple[ConceptTexts, Activations]:
    """The texts as rows that follow the corpus, and activations that go on there."""
    import numpy as np

    from eval.cosy import ConceptTexts
    from neurons.reading import read, tokenized
    from neurons.split_rows import Activations

    extraction = run.settings.extraction
    names = [descriptor.text for descriptor in run.catalog]
    told = {
        number: list(generated[name])[: settings.concept_texts]
        for number, name in enumerate(names)
        if len(generated.get(name, ())) >= settings.concept_texts
    }
    order = np.random.default_rng(run.settings.seed).permutation(run.split_rows.test)
    control = order[: settings.control_texts]
    first = len(run.corpus)
    concept = {}
    for place, number in enumerate(told):
        start = first + place * settings.concept_texts
        concept[number] = np.arange(start, start + settings.concept_texts)
    texts = ConceptTexts(concept, dict.fromkeys(told, control), "generated")
    if not told:
        return texts, run.activations
    flat = [text for own in told.values() for text in own]
    reading = read(
        run.subject.replicas,
        tokenized(run.subject, flat, extraction),
        run.store.layer_sites,
        extraction,
    )
    stored = run.activations

    def blocks(n_units: int) -> Iterator[Block]:
        column = 0
        for block in stored.blocks(n_units):
            own = reading.activations[:, column : column + block.shape[1]]
            column += block.shape[1]
            yield np.concatenate([block, own])

    n_sentences = stored.n_sentences + len(flat)
    return texts, Activations(stored.n_neurons, n_sentences, blocks, stored.name)
