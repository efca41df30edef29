"""Concepts in words: against brute force over the run's files, and what has no answer."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from descriptors.catalog import write_descriptors, write_membership
from indexer.errors import InputError
from neurons.explanation_file import read_explanations
from neurons.group_records import NEURON_GROUPS_FILE, NeuronGroups, write_neuron_groups
from neurons.records import NeuronId, Tail
from service.explain import explain_concept
from service.explained import CarryingNeuron, ExplainedConcept
from service.finished_run import FinishedRun
from service.group_answers import carrying_groups, neuron_set
from service.views.concept_search import ConceptSearch
from service.views.opened_run import OpenedRun
from service.views.shared_models import SharedModels

pytestmark = pytest.mark.usefixtures("one_torch_thread")

EVERY = 10_000
WORDS = ("the battery", "late delivery", "screen", "price and quality")


@pytest.fixture(scope="module")
def run(small_run: Path) -> OpenedRun:
    return OpenedRun(small_run, SharedModels())


@pytest.fixture(scope="module")
def search(run: OpenedRun) -> ConceptSearch:
    return ConceptSearch(run)


@pytest.fixture
def copied(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def carriers(run: FinishedRun, identifier: str) -> list[CarryingNeuron]:
    """From the records of the file, the surest first."""
    found = [
        CarryingNeuron(
            neuron=each.neuron,
            tail=each.tail,
            match=match,
            standing=run.standing(NeuronId.parse(each.neuron), each.tail, match),
        )
        for each in read_explanations(run.path / "explanations.parquet")
        for match in each.matches
        if match.descriptor_id == identifier
    ]
    return sorted(found, key=lambda carrier: carrier.match.evidence)


def tails_of(carriers: list[CarryingNeuron]) -> list[tuple[NeuronId, Tail]]:
    return [(NeuronId.parse(carrier.neuron), carrier.tail) for carrier in carriers]


def without_matches(path: Path) -> None:
    """Make every tail of a run abstain, and its groups nothing."""
    table = pq.read_table(path / "explanations.parquet")
    addresses = dict.fromkeys(
        zip(table["neuron"].to_pylist(), table["tail"].to_pylist(), strict=True)
    )
    nothing = dict.fromkeys(table.column_names)
    rows = [
        {**nothing, "neuron": neuron, "tail": tail, "reason": "no_descriptor_beats_null"}
        for neuron, tail in addresses
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path / "explanations.parquet")
    settings = FinishedRun(path).neuron_groups.settings
    write_neuron_groups(path / NEURON_GROUPS_FILE, NeuronGroups(settings=settings))


@pytest.mark.parametrize("words", WORDS)
def test_every_descriptor_by_brute_force(run: OpenedRun, search: ConceptSearch, words: str) -> None:
    answer = search.answer(f" {words} ", EVERY, EVERY)
    assert answer.concept == words
    vectors = run.encoder.encode([words, *(each.text for each in run.catalog)])
    similarity = dict(
        zip((each.id for each in run.catalog), (vectors[1:] @ vectors[0]).tolist(), strict=True)
    )
    assert {near.descriptor_id for near in answer.descriptors} == set(similarity)
    ordered = [near.similarity for near in answer.descriptors]
    assert ordered == sorted(ordered, reverse=True)
    places = {each.id: place for place, each in enumerate(run.catalog)}
    assert sum(near.n_neurons for near in answer.descriptors) > 20
    assert sum(near.n_groups for near in answer.descriptors) > 0
    for near in answer.descriptors:
        place = places[near.descriptor_id]
        own = carriers(run, near.descriptor_id)
        assert near.descriptor == run.catalog[place].text
        assert near.similarity == pytest.approx(similarity[near.descriptor_id], abs=1e-5)
        assert list(near.neurons) == own
        assert near.n_neurons == len(own)
        assert near.neuron_set == neuron_set(run, place, tails_of(own))
        groups = carrying_groups(run).get(near.descriptor_id, ())
        assert (near.n_groups, near.groups) == (len(groups), groups[:5])


@pytest.mark.parametrize("words", WORDS)
def test_the_command_line_gives_the_same_answer(
    run: OpenedRun, search: ConceptSearch, words: str
) -> None:
    expected = explain_concept(FinishedRun(run.path, "cpu"), words, 3, 4)
    for _ in range(2):
        assert search.answer(words, 3, 4) == expected
    assert [len(near.neurons) <= 4 for near in expected.descriptors] == [True] * 3
    assert ExplainedConcept.model_validate_json(expected.model_dump_json()) == expected


def test_a_warm_answer_reads_no_activation(
    run: OpenedRun, search: ConceptSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = search.answer("the battery", 3, 4)

    def fail(*_: object) -> None:
        raise AssertionError("activations are read again")

    monkeypatch.setattr(type(run.store), "array", fail)
    assert search.answer("the battery", 3, 4) == expected
    assert (
        search.answer("the battery", 3, 2).descriptors[0].neurons
        == (expected.descriptors[0].neurons[:2])
    )


def test_what_is_prepared_needs_no_activation(
    run: OpenedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = ConceptSearch(run)
    assert len(list(search.prepare())) == len(run.catalog)

    def fail(*_: object) -> None:
        raise AssertionError("activations are read for an answer")

    monkeypatch.setattr(type(run.store), "array", fail)
    answer = search.answer("the battery", EVERY, 4)
    assert any(near.neuron_set is not None for near in answer.descriptors)


def test_threads_get_the_answers_of_one(run: OpenedRun, search: ConceptSearch) -> None:
    expected = [search.answer(words, 3, 4) for words in WORDS]
    fresh = ConceptSearch(run)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda words: fresh.answer(words, 3, 4), WORDS * 10))
    assert found == expected * 10


@pytest.mark.parametrize(("words", "message"), [(" \t", "blank"), ("half \ud800", "surrogate")])
def test_words_that_cannot_be_looked_up(search: ConceptSearch, words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        search.answer(words, 5, 5)


def test_descriptors_that_no_neuron_carries(run: OpenedRun, copied: Path) -> None:
    without_matches(copied)
    answer = ConceptSearch(OpenedRun(copied, SharedModels())).answer("the battery", EVERY, 5)
    assert len(answer.descriptors) == len(run.catalog)
    for near in answer.descriptors:
        assert (near.n_neurons, near.neurons, near.n_groups, near.groups) == (0, (), 0, ())
        assert near.neuron_set is None


def test_a_run_without_a_kept_descriptor(run: OpenedRun, copied: Path) -> None:
    dropped = [
        each.model_copy(update={"kept": False, "reason": "too_rare"}) for each in run.descriptors
    ]
    without_matches(copied)
    write_descriptors(copied / "descriptors.parquet", dropped)
    write_membership(copied / "membership.npz", csr_matrix((0, len(run.corpus))))
    search = ConceptSearch(OpenedRun(copied, SharedModels()))
    for _ in range(2):
        with pytest.raises(InputError, match="has kept no descriptor"):
            search.answer("the battery", 5, 5)
    with pytest.raises(InputError, match="has kept no descriptor"):
        explain_concept(FinishedRun(copied, "cpu"), "the battery")
