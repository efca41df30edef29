"""What fires on a text, beside one bare forward pass, and concepts looked up in 50,000 neurons.

Concepts are looked up in a run that is prepared, as the service does once it has opened a run.
Answers are timed where the API gets them, without HTTP. A text is answered on a run of the sample
corpus with the bundled model, a concept on random numbers (`benchmarks.many_neurons`). Both sides
of a ratio are timed in turns, in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.many_neurons import ensure_run
from benchmarks.processes import neuroscribe, watch
from benchmarks.records import Measurement

if TYPE_CHECKING:
    from service.views.opened_run import OpenedRun

_RESULT = "service_answers.json"
_TURNS = 200
_WARM_TURNS = 20
_NEURONS = 10
_DESCRIPTORS = 5
_TEXT = "The battery died after two days and they refused to give me a refund."
_LONG_TEXT = " ".join([_TEXT] * 8)
_CONCEPTS = ("refund requests", "late delivery", "battery life", "cheap plastic", "a loud noise")


def measure(workspace: Path) -> list[Measurement]:
    """Milliseconds of each answer, once warm, and their ratios to the bare models."""
    if not (workspace / "read_run").exists():
        arguments = ("--corpus", "sample", "--model", "bundled", "--proposer", "keyphrase")
        watch(neuroscribe("run", *arguments, "--out", str(workspace / "read_run")))
    ensure_run(workspace)
    watch([sys.executable, "-m", "benchmarks.service_answers", str(workspace)])
    found = json.loads((workspace / _RESULT).read_text(encoding="utf-8"))
    against = "one bare forward pass, tokenizing included"
    return [
        *(
            measurement
            for length in ("text", "long_text")
            for measurement in (
                Measurement.of(
                    f"service_answers.{length}",
                    found[length],
                    "ms",
                    against=against,
                    reference=found[f"bare_{length}"],
                ),
                Measurement.of(
                    f"service_answers.{length}_ratio",
                    found[f"{length}_ratio"],
                    "of a bare pass",
                    goal="<= 1.5",
                ),
            )
        ),
        Measurement.of(
            "service_answers.concept",
            found["concept"],
            "ms",
            goal="<= 20",
            against="embedding the words",
            reference=found["encode"],
        ),
        Measurement.of("service_answers.concept_unprepared", found["unprepared"], "ms"),
        Measurement.of("service_answers.first_text", found["first_text"], "ms"),
        Measurement.of("service_answers.prepared", found["prepared"], "ms"),
    ]


def _work(workspace: Path) -> None:
    from service.views.opened_run import OpenedRun
    from service.views.shared_models import SharedModels

    models = SharedModels()
    found = _texts(OpenedRun(workspace / "read_run", models))
    found |= _concepts(OpenedRun(workspace / "many_neurons", models))
    (workspace / _RESULT).write_text(json.dumps(found), encoding="utf-8")


def _texts(run: OpenedRun) -> dict[str, float]:
    import torch

    from service.views.text_reader import TextReader

    reader = TextReader(run)
    began = time.perf_counter()
    reader.answer("run", _TEXT, _NEURONS)
    found = {"first_text": 1e3 * (time.perf_counter() - began)}
    subject = run.subject

    def bare(text: str) -> None:
        with torch.inference_mode():
            subject.model(**subject.tokenizer(text, return_tensors="pt"))

    for name, text in (("text", _TEXT), ("long_text", _LONG_TEXT)):
        ours, theirs = _in_turns(
            lambda text=text: reader.answer("run", text, _NEURONS), lambda text=text: bare(text)
        )
        found[name], found[f"bare_{name}"] = statistics.median(ours), statistics.median(theirs)
        ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
        found[f"{name}_ratio"] = statistics.median(ratios)
    return found


def _concepts(run: OpenedRun) -> dict[str, float]:
    from service.views.concept_search import ConceptSearch

    search = ConceptSearch(run)
    search.answer(_CONCEPTS[0], _DESCRIPTORS, _NEURONS)
    once = []
    for concept in _CONCEPTS[1:]:
        began = time.perf_counter()
        search.answer(concept, _DESCRIPTORS, _NEURONS)
        once.append(1e3 * (time.perf_counter() - began))
    search = ConceptSearch(run)
    began = time.perf_counter()
    for _ in search.prepare():
        pass
    prepared = time.perf_counter() - began
    concepts = iter(_CONCEPTS * (_TURNS + _WARM_TURNS))
    ours, theirs = _in_turns(
        lambda: search.answer(next(concepts), _DESCRIPTORS, _NEURONS),
        lambda: run.encoder.encode([next(concepts)]),
    )
    return {
        "prepared": 1e3 * prepared,
        "unprepared": statistics.median(once),
        "concept": statistics.median(ours),
        "encode": statistics.median(theirs),
    }


def _in_turns(
    ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[Sequence[float], Sequence[float]]:
    """Milliseconds of both, one after the other, once they are warm."""
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(_WARM_TURNS + _TURNS):
        for own, work in zip(found, (ours, theirs), strict=True):
            began = time.perf_counter()
            work()
            if turn >= _WARM_TURNS:
                own.append(1e3 * (time.perf_counter() - began))
    return found


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
