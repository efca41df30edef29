"""What fires on a text: against brute force, the command line's answer, and many threads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.stats import percentileofscore

from descriptors.records import Split
from indexer.errors import BackendError, InputError, RunError
from neurons.reading import read, tokenized
from neurons.records import NeuronId, Tail
from neurons.tokens import token_activations
from service.explain import explain_neuron, explain_text
from service.finished_run import FinishedRun
from service.text_levels import TextLevels
from service.views.opened_run import OpenedRun
from service.views.records import TextAnswer
from service.views.shared_models import SharedModels
from service.views.text_reader import TextReader

pytestmark = pytest.mark.usefixtures("one_torch_thread")

TEXTS = (
    "The battery was late again and the screen broke in two days.",
    "love it",
    "good " * 60,
    "The charger, the price and the delivery: very good!",
)
MANY = 10_000


@pytest.fixture(scope="module")
def run(small_run: Path) -> OpenedRun:
    return OpenedRun(small_run, SharedModels())


@pytest.fixture(scope="module")
def reader(run: OpenedRun) -> TextReader:
    return TextReader(run)


def brute_force(run: OpenedRun, text: str) -> dict[tuple[str, Tail], tuple[float, float, float]]:
    """Activation, z and percentile of every described tail above its usual level."""
    settings, sites = run.settings.extraction, run.store.layer_sites
    row = read([run.subject], tokenized(run.subject, [text], settings), sites, settings)
    values = dict(zip(run.neurons, row.activations[0].astype(np.float64).tolist(), strict=True))
    rows = run.corpus.rows(Split.DISCOVER)
    found = {}
    for (neuron, tail), explanation in run.explanations.items():
        usual = run.store.array(neuron.layer_site)[rows, neuron.unit].astype(np.float64)
        if not explanation.matches or not usual.std():
            continue
        sign = 1 if tail is Tail.POSITIVE else -1
        z = sign * (values[neuron] - usual.mean()) / usual.std()
        share = percentileofscore(sign * usual, sign * values[neuron], kind="mean")
        if z > 0:
            found[str(neuron), tail] = (values[neuron], z, float(share))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_answers_are_those_of_brute_force(run: OpenedRun, reader: TextReader, text: str) -> None:
    answer = reader.answer("small", text, MANY)
    expected = brute_force(run, text)
    assert len(expected) > 20
    found = {
        (each.neuron, each.tail): (each.activation, each.z, each.percentile)
        for each in answer.neurons
    }
    assert set(found) == set(expected)
    for key, numbers in found.items():
        assert numbers == pytest.approx(expected[key], rel=1e-9, abs=1e-9)
    order = [(-each.z, NeuronId.parse(each.neuron), each.tail) for each in answer.neurons]
    assert order == sorted(order)
    described = [each for each in run.explanations.values() if each.matches]
    assert answer.n_described == len(described)


@pytest.mark.parametrize("text", TEXTS)
def test_tokens_are_those_of_the_text(run: OpenedRun, reader: TextReader, text: str) -> None:
    answer = reader.answer("small", text, 12)
    neurons = [NeuronId.parse(each.neuron) for each in answer.neurons]
    [expected] = token_activations(run.subject, [text], neurons)
    assert answer.tokens == tuple(token.text for token in expected.tokens)
    assert answer.starts == tuple(token.start for token in expected.tokens)
    assert answer.truncated_tokens == expected.truncated_tokens
    assert [each.activations for each in answer.neurons] == [
        tuple(column.tolist()) for column in expected.activations.T
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_the_command_line_gives_the_same_answer(
    run: OpenedRun, reader: TextReader, text: str
) -> None:
    answer = reader.answer("small", text, 7)
    expected = explain_text(FinishedRun(run.path, "cpu"), text, 7)
    assert (answer.run, answer.text, answer.n_described, answer.truncated_tokens) == (
        "small",
        expected.text,
        expected.n_described,
        expected.truncated_tokens,
    )
    assert len(answer.neurons) == 7
    for each, firing in zip(answer.neurons, expected.firing, strict=True):
        assert (each.neuron, each.tail, each.activation, each.z, each.percentile) == (
            firing.neuron,
            firing.tail,
            firing.activation,
            firing.z,
            firing.percentile,
        )
        assert each.explanation.descriptor_id == firing.match.descriptor_id
        assert each.explanation.description == firing.match.descriptor
        assert each.explanation.score == firing.match.auroc
        assert each.explanation.standing == firing.standing
        assert [token.activation for token in firing.tokens] == list(each.activations)
        assert [token.start for token in firing.tokens] == list(answer.starts)


def test_fewer_neurons_are_the_first_of_more(reader: TextReader) -> None:
    every = reader.answer("small", TEXTS[0], MANY)
    for n_neurons in (0, 1, 5, len(every.neurons)):
        fewer = reader.answer("small", TEXTS[0], n_neurons)
        assert fewer.neurons == every.neurons[:n_neurons]
        assert fewer.tokens == every.tokens
    assert TextAnswer.model_validate_json(every.model_dump_json()) == every


def test_a_warm_answer_is_one_pass_and_leaves_no_hook(run: OpenedRun, reader: TextReader) -> None:
    reader.answer("small", TEXTS[0], 10)
    model = run.subject.model
    passes: list[None] = []
    counting = model.register_forward_pre_hook(lambda *_: passes.append(None))
    reader.answer("small", TEXTS[3], 10)
    counting.remove()
    assert len(passes) == 1
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def test_percentiles_stay_exact_where_few_columns_are_kept(
    run: OpenedRun, reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.text_levels._ORDERED_BYTES", 1)
    levels = TextLevels(run, run.explanations, run.guarded_subject.lock)
    expected = [each.percentile for each in reader.answer("small", TEXTS[0], MANY).neurons]
    assert len(expected) > 20
    for _ in range(2):
        found = levels.strongest(TEXTS[0], MANY).levels
        assert [each.percentile for each in found] == expected
    assert levels._ordered.cache_info().currsize == 1


def test_threads_get_the_answers_of_one(run: OpenedRun, reader: TextReader) -> None:
    """Threads that ask about neurons meanwhile read with the same model, under its lock."""
    expected = {text: reader.answer("small", text, 10) for text in TEXTS}
    neuron = expected[TEXTS[0]].neurons[0].neuron
    exemplars = explain_neuron(run, neuron)
    asked = [*TEXTS, None] * 8

    def ask(text: str | None) -> bool:
        if text is not None:
            return reader.answer("small", text, 10) == expected[text]
        with run.guarded_subject.lock:
            return explain_neuron(run, neuron) == exemplars

    fresh = TextReader(run)
    with ThreadPoolExecutor(6) as pool:
        first = list(pool.map(lambda text: fresh.answer("small", text, 10), TEXTS * 3))
        assert first == [expected[text] for text in TEXTS] * 3
        assert all(pool.map(ask, asked))


@pytest.mark.parametrize(("text", "message"), [("  \n", "blank"), ("half \udc00", "not valid")])
def test_texts_that_cannot_be_read(reader: TextReader, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reader.answer("small", text, 10)


def test_a_model_that_computes_no_number_is_told_and_let_go(run: OpenedRun) -> None:
    broken = TextReader(OpenedRun(run.path, SharedModels()))
    broken.answer("small", TEXTS[0], 3)
    subject = broken._run.subject
    bias = subject.architecture.feed_forwards[0].up.bias
    before = bias.detach().clone()
    with torch.no_grad():
        bias[3] = float("nan")
    with pytest.raises(BackendError, match=r"NaN at L0\.ffn\.3"):
        broken.answer("small", TEXTS[0], 3)
    with torch.no_grad():
        bias.copy_(before)
    assert broken.answer("small", TEXTS[0], 3).neurons
    model = subject.model
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def rewritten(path: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Write the explanations of a run anew, row by row."""
    table = pq.read_table(path / "explanations.parquet")
    rows = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path / "explanations.parquet")


def test_a_run_that_describes_nothing(small_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small_run, tmp_path / "run"))
    nothing = {"reason": "no_descriptor_beats_null"}
    rewritten(
        copy,
        lambda rows: [
            dict.fromkeys(row) | {"neuron": neuron, "tail": tail} | nothing
            for row in rows[:1]
            for neuron, tail in dict.fromkeys((each["neuron"], each["tail"]) for each in rows)
        ],
    )
    answer = TextReader(OpenedRun(copy, SharedModels())).answer("small", "love money", 10)
    assert (answer.neurons, answer.n_described, answer.tokens) == ((), 0, ("love", "money"))


def test_explanations_of_units_that_are_not_stored(small_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small_run, tmp_path / "run"))
    matched = {
        "neuron": "L0.ffn.48",
        **{name: 0.5 for name in ("auroc", "ci_low", "ci_high", "q", "exemplar_z")},
        **{"tail": "+", "rank": 1, "reason": None},
    }
    descriptor = {
        name: next(row[name] for row in read_rows(copy) if row["reason"] is None)
        for name in ("descriptor_id", "descriptor")
    }
    rewritten(copy, lambda rows: [*rows, matched | descriptor])
    with pytest.raises(RunError, match=r"L0\.ffn\.48 is explained"):
        explain_text(FinishedRun(copy, "cpu"), "love it")


def read_rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path / "explanations.parquet").to_pylist()
    return rows


def test_a_run_without_a_model_cannot_read(small_run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small_run, tmp_path / "run"))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["settings"]["model"] = "neurox:activations.json"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="there is no model"):
        TextReader(OpenedRun(copy, SharedModels())).answer("small", "love money", 10)
