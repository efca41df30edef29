"""Descriptors of a run, against its files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.catalog import kept, read_descriptors, read_membership
from descriptors.corpus import read_corpus
from descriptors.edit_file import append_edits
from descriptors.edit_records import Ban
from indexer.errors import NotFoundError, RunError
from neurons.explanation_file import read_explanations
from service.catalog_etag import catalog_etag
from service.run_library import RunLibrary
from service.views.run_view import RunView

EVERY = 10**6


def test_kept_descriptors_come_first_each_with_its_counts(opened: RunView, small_run: Path) -> None:
    descriptors = read_descriptors(small_run / "descriptors.parquet")
    membership = read_membership(small_run / "membership.npz")
    explanations = read_explanations(small_run / "explanations.parquet")
    carried = [match.descriptor_id for each in explanations for match in each.matches]
    found = opened.descriptors(search="", kept=None, offset=0, limit=EVERY)
    assert found.total == len(found.items) == len(descriptors)
    assert [each.kept for each in found.items] == sorted(
        (each.kept for each in descriptors), reverse=True
    )
    for row, (card, descriptor) in enumerate(zip(found.items, kept(descriptors), strict=False)):
        assert (card.id, card.text, card.reason) == (descriptor.id, descriptor.text, "")
        assert card.n_sentences == membership[row].nnz
        assert card.n_tails == carried.count(descriptor.id)
    for card in found.items[len(kept(descriptors)) :]:
        assert (card.n_sentences, card.n_tails) == (None, None)
        assert card.reason


def test_descriptors_are_searched_whatever_the_case(opened: RunView) -> None:
    every = opened.descriptors(search="", kept=None, offset=0, limit=EVERY).items
    word = every[-1].text[1:4]
    found = opened.descriptors(search=f" {word.upper()} ", kept=None, offset=0, limit=EVERY)
    assert list(found.items) == [each for each in every if word.casefold() in each.text.casefold()]
    assert found.items
    for state in (True, False):
        some = opened.descriptors(search=word, kept=state, offset=0, limit=EVERY)
        assert list(some.items) == [each for each in found.items if each.kept is state]
    assert opened.descriptors(search="\N{SNOWMAN}", kept=None, offset=0, limit=5).total == 0


def test_pages_of_descriptors_together_are_all(opened: RunView) -> None:
    every = opened.descriptors(search="", kept=None, offset=0, limit=EVERY)
    pages = [
        opened.descriptors(search="", kept=None, offset=offset, limit=4)
        for offset in range(0, every.total, 4)
    ]
    assert tuple(each for page in pages for each in page.items) == every.items
    assert {page.total for page in pages} == {every.total}


def test_the_sentences_of_a_descriptor_are_its_members(opened: RunView, small_run: Path) -> None:
    membership = read_membership(small_run / "membership.npz").toarray()
    corpus = read_corpus(small_run / "corpus.parquet")
    ids = corpus.ids.to_pylist()
    cards = opened.descriptors(search="", kept=True, offset=0, limit=EVERY).items
    for card, scores in zip(cards, membership, strict=True):
        expected = sorted((-score, row) for row, score in enumerate(scores) if score > 0)
        found = opened.sentences(card.id, offset=0, limit=EVERY)
        assert found.total == len(expected) == card.n_sentences
        assert [(-each.score, ids.index(each.id)) for each in found.items] == expected
        assert [each.text for each in found.items] == [corpus.text(row) for _, row in expected]
        pages = [
            opened.sentences(card.id, offset=offset, limit=7).items
            for offset in range(0, found.total, 7)
        ]
        assert tuple(each for page in pages for each in page) == found.items


def test_a_descriptor_that_is_not_kept_has_no_sentences_and_no_tails(opened: RunView) -> None:
    card = opened.descriptors(search="", kept=False, offset=0, limit=1).items[0]
    assert opened.sentences(card.id, offset=0, limit=5).total == 0
    answer = opened.descriptor(card.id)
    assert (answer.run, answer.descriptor) == ("small", card)
    assert answer.tails == answer.near == ()


def test_near_descriptors_share_sentences(opened: RunView, small_run: Path) -> None:
    members = read_membership(small_run / "membership.npz").toarray() > 0
    cards = opened.descriptors(search="", kept=True, offset=0, limit=EVERY).items
    for number, card in enumerate(cards):
        near = opened.descriptor(card.id).near
        cosines = [
            (members[number] & other).sum() / np.sqrt(members[number].sum() * other.sum())
            for other in members
        ]
        order = sorted(range(len(cards)), key=lambda place: -cosines[place])
        expected = [cards[place].id for place in order if place != number and cosines[place] > 0]
        assert [each.id for each in near] == expected[:5]


def test_the_tails_of_a_descriptor_are_its_surest(opened: RunView, small_run: Path) -> None:
    explanations = read_explanations(small_run / "explanations.parquet")
    for card in opened.descriptors(search="", kept=True, offset=0, limit=EVERY).items:
        carriers = [
            (match.evidence, (each.neuron, each.tail, match.auroc))
            for each in explanations
            for match in each.matches
            if match.descriptor_id == card.id
        ]
        carriers.sort(key=lambda carrier: carrier[0])
        found = opened.descriptor(card.id).tails
        assert [
            (each.neuron, each.tail, each.explanation.score if each.explanation else None)
            for each in found
        ] == [each for _, each in carriers][:20]


@pytest.mark.parametrize("identifier", ["", "none", "../d", "d" * 5000, "d\x00"])
def test_an_unknown_descriptor_is_not_found(opened: RunView, identifier: str) -> None:
    for ask in (opened.descriptor, lambda each: opened.sentences(each, offset=0, limit=1)):
        with pytest.raises(NotFoundError, match="no descriptor") as error:
            ask(identifier)
        assert len(str(error.value)) < 300


def test_edits_from_elsewhere_are_pending_and_change_the_etag(
    add_run: Callable[[str], Path], runs: Path
) -> None:
    path = add_run("small")
    view = RunLibrary(runs, 1).open("small")
    etags = [view.catalog_etag]
    assert view.descriptors(search="", kept=None, offset=0, limit=1).pending_edits == 0
    for number, text in enumerate(("great value", "great value"), start=1):
        append_edits(path, [Ban(text=text)])
        etags.append(view.catalog_etag)
        assert view.catalog_etag == catalog_etag(path)
        found = view.descriptors(search="", kept=None, offset=0, limit=1)
        assert found.pending_edits == number
    assert len(set(etags)) == 3
    assert view.catalog_etag == etags[-1]
    assert RunLibrary(runs, 1).open("small").catalog_etag == etags[-1]


def test_damaged_edits_are_told(add_run: Callable[[str], Path], runs: Path) -> None:
    path = add_run("small")
    view = RunLibrary(runs, 1).open("small")
    (path / "catalog_edits.jsonl").write_text("no edit\n", encoding="utf-8")
    with pytest.raises(RunError, match="is no edit"):
        view.descriptors(search="", kept=None, offset=0, limit=1)


def test_membership_is_left_as_it_was(opened: RunView, small_run: Path) -> None:
    card = opened.descriptors(search="", kept=True, offset=0, limit=1).items[0]
    opened.descriptor(card.id)
    expected: csr_matrix = read_membership(small_run / "membership.npz")
    scores = [each.score for each in opened.sentences(card.id, offset=0, limit=EVERY).items]
    assert sorted(scores) == sorted(expected[0].data.tolist())
