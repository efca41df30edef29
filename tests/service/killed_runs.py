"""Runs that are killed with SIGKILL; a script of its own, so that nothing else shares its process.

`once OUT CORPUS MODEL` does one run. `chain ROOT CORPUS MODEL` kills a run again and again: each
process dies at the first point where none has died yet, the next one goes on from what it left.
Points are the openings of files for writing and the renamings, but for those of the stages' own
records, which the tests of RunDirectory go through one by one. Whoever reaches the end must have
the bytes of a run that was left alone, in another folder. The same again for a finished run that
is redone with other settings, there with renamings only.
"""

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

# Loaded before forking, so that every process starts with them.
MODULES = (
    "faiss",
    "nupunkt",
    "sklearn.cluster",
    "sklearn.feature_extraction.text",
    "sentence_transformers",
    "transformers.models.bert.modeling_bert",
    "descriptors.curation",
    "descriptors.ingest",
    "eval.label_recovery",
    "eval.report",
    "neurons.exemplars",
    "neurons.extraction",
    "service.pipeline",
)
KILLS_PER_POINT = {"rename activations/journal.json": 3}
UNSTABLE = {"timings.json", ".lock"}
MOST_PROCESSES = 200
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"membership": {"false_discovery_rate": 0.8}, "matching": {"minimum_discover": 4}},
)
EVENTS = ({"open", "os.rename"}, {"os.rename"})


def run(out: Path, corpus: str, model: str, changes: dict[str, Any]) -> None:
    from service.pipeline import run_pipeline
    from service.settings import RunSettings

    asked: dict[str, Any] = {
        "corpus": corpus,
        "model": model,
        "encoder": model,
        "device": "cpu",
        "proposers": ("keyphrase",),
        "group_sources": ("embeddings", "neurons"),
        "extraction": {"window_sentences": 40},
        "membership": {"false_discovery_rate": 0.9},
        "matching": {"null_quantile": 0.6, "minimum_discover": 3, "minimum_auroc": 0.5},
    }
    for name, change in changes.items():
        asked[name] = {**asked.get(name, {}), **change}
    run_pipeline(RunSettings.model_validate(asked), out)


def contents(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in UNSTABLE}


def point_of(event: str, arguments: tuple[Any, ...], out: str) -> str | None:
    """The name of the point at which a process may die, if `event` is one."""
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return None
        kind = "write" if flags & os.O_CREAT else "rewrite"
    elif event == "os.rename":
        path, kind = arguments[1], "rename"
    else:
        return None
    name = os.path.relpath(os.fsdecode(path), out)
    own = name.startswith("stages/") and (kind != "rename" or name.endswith(".started"))
    return None if own or name.startswith("..") or name in UNSTABLE else f"{kind} {name}"


def die_at_a_new_point(out: Path, deaths: dict[str, int], events: set[str], note: int) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        point = point_of(event, arguments, str(out)) if event in events else None
        if point is not None and deaths.get(point, 0) < KILLS_PER_POINT.get(point, 1):
            os.write(note, point.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def forked(
    out: Path,
    corpus: str,
    model: str,
    changes: dict[str, Any],
    deaths: dict[str, int],
    events: set[str],
) -> str:
    """Run in a process of its own; the point at which it died, or "" if it came to its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            die_at_a_new_point(out, deaths, events, writing)
            run(out, corpus, model, changes)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        point = pipe.read().decode()
    status = os.waitpid(child, 0)[1]
    if status != 0 and not (point and os.WIFSIGNALED(status)):
        sys.exit(f"a run of {out} ended with status {status} after {deaths}")
    return point


def chain(root: Path, corpus: str, model: str) -> list[str]:
    """Kill runs at every point; the points, in order."""
    died: list[str] = []
    disturbed = root / "disturbed"
    for number, (changes, events) in enumerate(zip(CHANGES, EVENTS, strict=True)):
        alone = root / f"alone-{number}"
        forked(alone, corpus, model, changes, {}, set())
        deaths: dict[str, int] = {}
        for _ in range(MOST_PROCESSES):
            point = forked(disturbed, corpus, model, changes, deaths, events)
            if not point:
                break
            deaths[point] = deaths.get(point, 0) + 1
            died.append(point)
        found, expected = contents(disturbed), contents(alone)
        other = sorted(
            name for name in {*found, *expected} if found.get(name) != expected.get(name)
        )
        if other:
            sys.exit(f"other bytes with {changes} in {other}, killed at {died}")
    return died


if __name__ == "__main__":
    action, place, *rest = sys.argv[1:]
    if action == "once":
        run(Path(place), *rest, changes={})
    else:
        for module in MODULES:
            importlib.import_module(module)
        sys.stdout.write(json.dumps(chain(Path(place), *rest)))
