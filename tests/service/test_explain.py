"""Answers about neurons, concepts and texts, against what lies in the run and brute force."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from descriptors.catalog import write_descriptors, write_membership
from descriptors.corpus import read_corpus
from descriptors.ingest import ingest
from descriptors.records import Descriptor, Split
from indexer.encoder import SentenceEncoder
from indexer.errors import InputError, RunError
from neurons.extraction import extract
from neurons.joint import JointSettings, joint_explanations
from neurons.reading import ExtractionSettings
from neurons.records import (
    AbstentionReason,
    Explanation,
    LayerSite,
    Match,
    NeuronId,
    Site,
    Tail,
)
from neurons.subject import SubjectModel
from service import cli, joint_answers
from service.explain import (
    Question,
    explain_concept,
    explain_neuron,
    explain_text,
    kind_of,
)
from service.finished_run import FinishedRun
from service.run_directory import RunDirectory
from service.settings import RunSettings

TEXTS = [f"{noun} {verb} {adjective}." for noun in ("battery", "charger", "phone", "screen", "case")
         for verb in ("was", "is", "broke again and works")
         for adjective in ("good", "bad", "late", "loud", "very slow")]  # fmt: skip
NEURONS = [NeuronId(layer, site, 3) for layer in (0, 1) for site in (Site.FFN, Site.HIDDEN)]
DESCRIPTORS = ("battery life", "late delivery", "refund request")


def match(rank: int, descriptor: int, auroc: float) -> Match:
    return Match(
        rank=rank,
        descriptor_id=f"d{descriptor}",
        descriptor=DESCRIPTORS[descriptor],
        auroc=auroc,
        ci_low=auroc - 0.02,
        ci_high=auroc + 0.02,
        q=0.001,
        exemplar_z=10.0 * auroc,
    )


def explanations() -> list[Explanation]:
    """Every positive tail is described; the negative ones of hidden neurons as well."""
    found = []
    for place, neuron in enumerate(NEURONS):
        aurocs = [0.8 + place / 100, 0.7 + place / 100]
        matches = (match(1, place % 2, aurocs[0]), match(2, 1 - place % 2, aurocs[1]))
        for tail in Tail:
            is_described = tail is Tail.POSITIVE or neuron.site is Site.HIDDEN
            found.append(
                Explanation(neuron=str(neuron), tail=tail, matches=matches)
                if is_described
                else Explanation(neuron=str(neuron), tail=tail, reason=AbstentionReason.WEAK)
            )
    return found


def write_explanations(path: Path, found: list[Explanation]) -> None:
    """Write the file as DESIGN.md lays it out: one row a match, or one with the reason."""
    rows = []
    for explanation in found:
        address = {"neuron": explanation.neuron, "tail": explanation.tail.value}
        rows += [{**address, **each.model_dump(), "reason": None} for each in explanation.matches]
        if explanation.reason is not None:
            nothing = dict.fromkeys(Match.model_fields)
            rows.append({**address, **nothing, "reason": explanation.reason.value})
    pq.write_table(pa.Table.from_pylist(rows), path)


def memberships(n_sentences: int) -> csr_matrix:
    """Of the two kept descriptors: the batteries and chargers, and what is late."""
    texts = TEXTS[:n_sentences]
    members = [
        [text.startswith(("battery", "charger")) for text in texts],
        [text.endswith("late.") for text in texts],
    ]
    return csr_matrix(np.array(members, dtype=np.float32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> Path:
    """A finished run of a tiny random BERT, with made-up explanations."""
    out = tmp_path_factory.mktemp("runs") / "run"
    source = out.parent / "texts.txt"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    model = str(tiny_model("bert"))
    settings = RunSettings(corpus=str(source), model=model)
    subject = SubjectModel.load(model, "cpu")
    run = RunDirectory.create(out)
    run.begin(settings.model_dump(mode="json"))
    ingest(str(source), out / "corpus.parquet")
    corpus = read_corpus(out / "corpus.parquet")
    extract(subject, corpus, out / "activations", ExtractionSettings(), "test")
    write_descriptors(
        out / "descriptors.parquet",
        [
            Descriptor(
                id=f"d{place}",
                text=text,
                proposer="keyphrase",
                group="g",
                support=(0, 1),
                kept=place < 2,
                reason="" if place < 2 else "too_rare",
            )
            for place, text in enumerate(DESCRIPTORS)
        ],
    )
    write_membership(out / "membership.npz", memberships(len(corpus)))
    write_explanations(out / "explanations.parquet", explanations())
    encoder = SentenceEncoder.load("bundled", "cpu")
    run.finish(
        fingerprints={
            "model": subject.fingerprint,
            "encoder": encoder.fingerprint,
            "corpus": corpus.fingerprint,
        },
        seeds={"run": 0},
    )
    run.close()
    return out


@pytest.fixture(scope="module")
def run(folder: Path) -> FinishedRun:
    return FinishedRun(folder, "cpu")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("L4.ffn.744", Question.NEURON),
        (" L4.attn.7 ", Question.NEURON),
        ("refund requests", Question.CONCEPT),
        ("the battery does not last long", Question.CONCEPT),
        ("The battery died.", Question.TEXT),
        ("I sent it back and they refunded me within two days", Question.TEXT),
        ("LG.phone", Question.CONCEPT),
    ],
)
def test_kind_of_question(what: str, kind: Question) -> None:
    assert kind_of(what) is kind


@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_neuron_shows_what_the_store_holds(run: FinishedRun, neuron: NeuronId) -> None:
    answer = explain_neuron(run, str(neuron), n_exemplars=4)
    column = np.load(run.path / "activations" / f"{neuron.layer_site}.npy")[:, neuron.unit]
    assert [tail.tail for tail in answer.tails] == [Tail.POSITIVE, Tail.NEGATIVE]
    ordered = np.sort(column.astype(np.float32))
    assert [sentence.activation for sentence in answer.tails[0].exemplars] == pytest.approx(
        ordered[::-1][:4].tolist()
    )
    assert [sentence.activation for sentence in answer.tails[1].exemplars] == pytest.approx(
        ordered[:4].tolist()
    )
    for tail in answer.tails:
        for sentence in tail.exemplars:
            assert sentence.text in TEXTS
            # Max pooling: the strongest token carries the sentence's activation.
            strongest = max(token.activation for token in sentence.tokens)
            assert strongest == pytest.approx(sentence.activation, rel=2e-3, abs=2e-3)
            assert sentence.text[sentence.tokens[0].start : sentence.tokens[0].end]


def test_neuron_shows_matches_or_the_reason(run: FinishedRun) -> None:
    positive, negative = explain_neuron(run, "L0.ffn.3").tails
    assert [each.descriptor for each in positive.matches] == ["battery life", "late delivery"]
    assert positive.reason is None
    assert negative.matches == ()
    assert negative.reason is AbstentionReason.WEAK


def test_neuron_shows_what_it_carries_together(run: FinishedRun) -> None:
    neuron = NEURONS[1]
    answer = explain_neuron(run, str(neuron))
    column = np.load(run.path / "activations" / f"{neuron.layer_site}.npy")[:, [neuron.unit]]
    membership = memberships(len(run.corpus))
    expected = joint_explanations(
        column.astype(np.float32), membership, run.split_rows, JointSettings(), 0
    )
    assert [tail.tail for tail in answer.tails] == [each.tail for each in expected]
    for tail, found in zip(answer.tails, expected, strict=True):
        names = [DESCRIPTORS[number] for number in found.combination.sets]
        assert [part.descriptor for part in tail.together.parts] == names
        assert [part.weight for part in tail.together.parts] == list(found.combination.weights)
        assert tail.together.explained_variance == pytest.approx(found.explained_variance)
        assert len(tail.together.null) == JointSettings().shuffles


def test_a_neuron_that_is_a_descriptor_is_explained_by_it(
    run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = memberships(len(run.corpus))[0].toarray().T.astype(np.float32)
    monkeypatch.setattr(type(run.store), "columns", lambda *_: column)
    monkeypatch.setattr(
        joint_answers, "top_rows", lambda *_: np.argsort(-column[:, 0], kind="stable")[:35]
    )
    tail = explain_neuron(run, str(NEURONS[0])).tails[0]
    assert [part.descriptor_id for part in tail.together.parts] == ["d0"]
    assert tail.together.explained_variance == pytest.approx(1.0)
    assert [group.descriptor for group in tail.variety.groups] == ["battery life"]
    assert [group.exemplars for group in tail.variety.groups] == [30]
    assert tail.variety.covered == pytest.approx(30 / 35)


def test_a_membership_of_another_catalog_is_noticed(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "run")
    write_membership(copy / "membership.npz", csr_matrix((5, len(TEXTS))))
    with pytest.raises(RunError, match=r"is of shape \(5, 75\), expected \(2, 75\)"):
        explain_neuron(FinishedRun(copy, "cpu"), str(NEURONS[0]))


@pytest.mark.parametrize("address", ["L9.ffn.0", "L0.ffn.48", "L0.attn.1", "L0.ffn"])
def test_unknown_neuron(run: FinishedRun, address: str) -> None:
    with pytest.raises(InputError):
        explain_neuron(run, address)


def test_concept_finds_the_nearest_kept_descriptor_and_its_neurons(run: FinishedRun) -> None:
    answer = explain_concept(run, " the parcel came late ")
    assert [near.descriptor for near in answer.descriptors] == ["late delivery", "battery life"]
    encoder = SentenceEncoder.load("bundled", "cpu")
    vectors = encoder.encode(["the parcel came late", "late delivery"])
    assert answer.descriptors[0].similarity == pytest.approx(float(vectors[0] @ vectors[1]), 1e-5)
    late = answer.descriptors[0]
    assert late.n_neurons == 6
    aurocs = [carrier.match.auroc for carrier in late.neurons]
    assert aurocs == sorted(aurocs, reverse=True)
    assert {carrier.match.descriptor for carrier in late.neurons} == {"late delivery"}
    assert explain_concept(run, "battery", n_neurons=2).descriptors[0].n_neurons == 6


def test_text_of_the_corpus_has_the_levels_of_its_own_row(run: FinishedRun) -> None:
    row = 17
    text = run.corpus.text(row)
    answer = explain_text(run, text, n_neurons=99)
    rows = run.corpus.rows(Split.DISCOVER)
    expected = {}
    for neuron in NEURONS:
        column = run.store.array(LayerSite(neuron.layer, neuron.site))[:, neuron.unit]
        usual = column[rows].astype(np.float64)
        z = (float(column[row]) - usual.mean()) / usual.std()
        expected[str(neuron), Tail.POSITIVE] = z
        if neuron.site is Site.HIDDEN:
            expected[str(neuron), Tail.NEGATIVE] = -z
    assert answer.n_described == len(expected) == 6
    found = {(firing.neuron, firing.tail): firing.z for firing in answer.firing}
    above = {key: z for key, z in expected.items() if z > 0}
    assert len(above) >= 2
    assert found == pytest.approx(above, abs=0.02)
    levels = [firing.z for firing in answer.firing]
    assert levels == sorted(levels, reverse=True)
    for firing in answer.firing:
        strongest = max(token.activation for token in firing.tokens)
        assert strongest == pytest.approx(firing.activation, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("ask", [explain_concept, explain_text])
def test_blank_questions(run: FinishedRun, ask: Callable[[FinishedRun, str], object]) -> None:
    with pytest.raises(InputError, match="blank"):
        ask(run, "  ")


def test_changed_model_is_noticed(folder: Path, tmp_path: Path) -> None:
    manifest = (folder / "manifest.json").read_text()
    model = FinishedRun(folder).manifest.fingerprints["model"]
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "settings.json").write_text((folder / "settings.json").read_text())
    (copy / "manifest.json").write_text(manifest.replace(model, "0" * 64))
    with pytest.raises(RunError, match="is not the one"):
        FinishedRun(copy, "cpu").subject  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["L1.hidden.3"], ["L1.hidden.3 +", "battery life", "0.830", "highest activation"]),
        (["L0.ffn.3"], ["L0.ffn.3 -: not described (effect too small)"]),
        (["battery life"], ["battery life: 5 of 6 neuron tails", "L1.hidden.3"]),
        (["battery was good.", "--text"], ["of 6 described tails", "percentile"]),
        (["battery was good", "--concept"], ["descriptors nearest to 'battery was good'"]),
    ],
)
def test_command_shows_and_gives_json(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], shown: list[str]
) -> None:
    assert cli.run_command(["explain", *arguments, "--run", str(folder)]) == 0
    out = capsys.readouterr().out
    assert [piece for piece in shown if piece not in out] == []
    assert cli.run_command(["explain", *arguments, "--run", str(folder), "--json"]) == 0
    assert capsys.readouterr().out.startswith("{\n")
