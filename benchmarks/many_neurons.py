"""A finished run of 50,000 neurons, both tails described, made of random numbers.

Its corpus is the sample corpus and its encoder the bundled one. No model has such neurons, so it
can be asked about neurons, concepts and descriptors, and not about texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from descriptors.corpus import Corpus
    from neurons.matching import Matches

LAYERS = 25
UNITS = 2_000
DESCRIPTORS = 500

_MATCHES = 3
_MEMBERS = 0.05
_GROUPS = 1_000
_GROUP_NEURONS = 5
_SEED = 0
_NUMBERS = ("auroc", "ci_low", "ci_high", "q", "exemplar_z")


def ensure_run(workspace: Path) -> Path:
    """The folder of the run, written where it is not there yet."""
    import numpy as np

    from descriptors.corpus import read_corpus
    from descriptors.ingest import ingest
    from indexer.encoder import SentenceEncoder
    from service.run_directory import RunDirectory
    from service.settings import RunSettings

    path = workspace / "many_neurons"
    if (path / "manifest.json").exists():
        return path
    run = RunDirectory.create(path)
    run.begin(RunSettings(corpus="sample", model="bundled").model_dump(mode="json"))
    ingest("sample", path / "corpus.parquet")
    corpus = read_corpus(path / "corpus.parquet")
    generator = np.random.default_rng(_SEED)
    _write_store(path / "activations", len(corpus), generator)
    _write_catalog(path, corpus, generator)
    _write_matches(path, generator)
    _write_lexical(path, generator)
    encoder = SentenceEncoder.load("bundled", "cpu")
    fingerprints = {"encoder": encoder.fingerprint, "corpus": corpus.fingerprint, "model": "none"}
    run.finish(fingerprints=fingerprints, seeds={"run": _SEED})
    run.close()
    return path


def _write_store(folder: Path, n_sentences: int, generator: np.random.Generator) -> None:
    import numpy as np

    from indexer.storage import write_json
    from neurons.records import Pooling, Site
    from neurons.store import (
        MANIFEST_NAME,
        ExtractionReport,
        StoredSite,
        StoreLayout,
        StoreManifest,
    )

    sites = tuple(StoredSite(layer=layer, site=Site.FFN, units=UNITS) for layer in range(LAYERS))
    for each in sites:
        values = generator.normal(size=(n_sentences, UNITS)).astype(np.float16)
        folder.mkdir(exist_ok=True)
        np.save(folder / each.file_name, values)
    layout = StoreLayout(
        key="random",
        n_sentences=n_sentences,
        window_sentences=n_sentences,
        pooling=Pooling.MAX,
        sites=sites,
    )
    manifest = StoreManifest(layout=layout, report=ExtractionReport(), parity=None)
    write_json(folder / MANIFEST_NAME, manifest.model_dump(mode="json"))


def _write_catalog(path: Path, corpus: Corpus, generator: np.random.Generator) -> None:
    """Pairs of words from the corpus, each said to hold for random sentences."""
    import numpy as np
    from scipy.sparse import csr_matrix

    from descriptors.catalog import write_descriptors, write_membership
    from descriptors.records import Descriptor

    words = [text.split() for text in corpus.texts_at(range(len(corpus)))]
    pairs = sorted({" ".join(own[:2]).lower() for own in words if len(own) > 1})
    texts = generator.permutation(np.array(pairs))[:DESCRIPTORS].tolist()
    descriptors = [
        Descriptor(id=f"d{number}", text=text, proposer="random", group="", support=(), kept=True)
        for number, text in enumerate(texts)
    ]
    write_descriptors(path / "descriptors.parquet", descriptors)
    members = generator.random((DESCRIPTORS, len(corpus))) < _MEMBERS
    write_membership(path / "membership.npz", csr_matrix(members.astype(np.float32)))


def _write_matches(path: Path, generator: np.random.Generator) -> None:
    """`explanations.parquet`, and groups that carry as many descriptors."""
    import numpy as np

    from descriptors.catalog import read_descriptors
    from neurons.explanation_file import EXPLANATIONS_FILE, write_explanations
    from neurons.group_records import (
        NEURON_GROUPS_FILE,
        ExplainedGroup,
        GroupMember,
        GroupTail,
        NeuronGroups,
        NeuronGroupSettings,
        write_neuron_groups,
    )
    from neurons.matching import TAILS
    from neurons.records import Match, NeuronId, Site

    named = [(each.id, each.text) for each in read_descriptors(path / "descriptors.parquet")]
    neurons = [NeuronId(layer, Site.FFN, unit) for layer in range(LAYERS) for unit in range(UNITS)]
    found = _random_matches(len(neurons), generator)
    write_explanations(path / EXPLANATIONS_FILE, found, neurons, named)

    def matches(first: int) -> tuple[Match, ...]:
        return tuple(
            Match(
                rank=int(found.rank[number]),
                descriptor_id=named[found.descriptor[number]][0],
                descriptor=named[found.descriptor[number]][1],
                **{name: float(getattr(found, name)[number]) for name in _NUMBERS},
            )
            for number in range(first, first + _MATCHES)
        )

    members = generator.choice(len(neurons), (_GROUPS, _GROUP_NEURONS), replace=False)
    groups = tuple(
        ExplainedGroup(
            id=f"G{number}",
            members=tuple(
                GroupMember(neuron=str(neurons[place]), sign=1) for place in np.sort(own).tolist()
            ),
            coherence=0.8,
            null_coherence=0.4,
            tails=tuple(
                GroupTail(tail=tail, matches=matches(2 * _MATCHES * number + _MATCHES * place))
                for place, tail in enumerate(TAILS)
            ),
        )
        for number, own in enumerate(members)
    )
    write_neuron_groups(
        path / NEURON_GROUPS_FILE, NeuronGroups(settings=NeuronGroupSettings(), groups=groups)
    )


def _random_matches(n_neurons: int, generator: np.random.Generator) -> Matches:
    import numpy as np

    from neurons.matching import TAILS, Matches
    from neurons.null import NullThresholds

    n_tails = n_neurons * len(TAILS)
    # Distinct descriptors of a tail: a random one and others at fixed distances from it.
    first = generator.integers(DESCRIPTORS, size=n_tails)
    descriptor = (first[:, np.newaxis] + np.arange(_MATCHES) * 7) % DESCRIPTORS
    n_matches = descriptor.size
    auroc = generator.uniform(0.6, 0.9, n_matches)
    every = np.ones((n_neurons, len(TAILS)), dtype=np.bool_)
    tail = np.tile(np.repeat(np.arange(len(TAILS)), _MATCHES), n_neurons)
    return Matches(
        neuron=np.repeat(np.arange(n_neurons), _MATCHES * len(TAILS)),
        tail=tail,
        rank=np.tile(np.arange(1, _MATCHES + 1), n_tails),
        descriptor=descriptor.ravel(),
        auroc=auroc,
        ci_low=auroc - 0.05,
        ci_high=auroc + 0.05,
        q=generator.uniform(0.0, 0.05, n_matches),
        exemplar_z=generator.uniform(2.0, 20.0, n_matches),
        beats_null=every,
        strong_enough=every,
        constant=~every,
        usable_descriptors=DESCRIPTORS,
        null=NullThresholds(discover=0.0, validation=0.0),
    )


def _write_lexical(path: Path, generator: np.random.Generator) -> None:
    from eval.lexical import (
        LEXICAL_FILE,
        LexicalControl,
        LexicalRecord,
        LexicalSample,
        write_lexical,
    )
    from neurons.records import Site, Tail

    samples = tuple(
        LexicalSample(
            control=LexicalControl.RANDOM_WEIGHTS,
            seed=_SEED,
            layer=layer,
            site=Site.FFN,
            tail=tail,
            best=tuple(generator.uniform(0.5, 0.8, UNITS).round(6).tolist()),
            first_match=(None,) * UNITS,
        )
        for layer in range(LAYERS)
        for tail in Tail
    )
    write_lexical(path / LEXICAL_FILE, LexicalRecord(samples=samples))
