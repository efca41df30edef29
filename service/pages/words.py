"""What states, reasons and stages are called on pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from descriptors.edit_records import EditKind
from eval.figures import Axis
from eval.protocol_words import protocol_words
from neurons.records import AbstentionReason
from neurons.statistics_records import QUANTILES, NeuronStatistics
from service.jobs.records import Job, JobKind, JobState
from service.views.records import RunState

REASON_TITLES = {
    AbstentionReason.CONSTANT: "It never changes",
    AbstentionReason.NO_MATCH: "Nothing fits better than chance",
    AbstentionReason.WEAK: "What fits is too weak",
    AbstentionReason.NOT_REPLICATED: "It did not hold on other sentences",
}
"""Why a tail is not described, in a few words; the report's meanings say more."""

EDIT_WORDS = {
    EditKind.SEED: "Added",
    EditKind.RENAME: "Renamed",
    EditKind.MERGE: "Merged",
    EditKind.BAN: "Banned",
    EditKind.LOCK: "Locked",
    EditKind.UNLOCK: "Unlocked",
}

_JOB_TITLES = {
    JobKind.RUN: "Explain the neurons",
    JobKind.CATALOG: "Build a catalog",
    JobKind.EXPLAIN: "Explain with the catalog",
    JobKind.EVALUATE: "Evaluate",
    JobKind.REBUILD: "Match again",
}
_STATE_WORDS = {
    JobState.QUEUED: "waiting",
    JobState.RUNNING: "under way",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    RunState.UNFINISHED: "not finished",
    RunState.FINISHED: "ready",
    RunState.UPDATING: "being updated",
    RunState.DAMAGED: "damaged",
}
_PROTOCOL_STAGE = "evaluate-"
_STAGE_WORDS = {
    "corpus": "Read the corpus",
    "embed": "Embed the sentences",
    "index": "Build the index",
    "extract": "Read the model's activations",
    "propose": "Propose descriptors",
    "catalog": "Curate the catalog",
    "statistics": "Count what neurons do",
    "match": "Match neurons and descriptors",
    "lexical": "Compare with random weights",
    "neuron_groups": "Find neurons that move together",
    "exemplars": "Collect exemplars",
    "evaluate": "Gather the evaluation",
    "report": "Write the report",
}


def job_title(kind: JobKind) -> str:
    """What a job of this kind does."""
    return _JOB_TITLES[kind]


def state_words(state: JobState | RunState) -> str:
    """A state in words."""
    return _STATE_WORDS[state]


def descriptor_reason(reason: str) -> str:
    """Why a descriptor is not kept, in words."""
    return reason.replace("_", " ")


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage of a job in words; `standing` is `done`, `now` or `to come`."""

    name: str
    standing: str


def stage_lines(job: Job, names: Sequence[str]) -> tuple[StageLine, ...]:
    """The stages `names` of a job, and how far it is."""
    current = job.progress.stage if job.progress else ""
    place = names.index(current) if current in names else -1
    return tuple(
        StageLine(stage_name(name), _standing(job.state, number, place))
        for number, name in enumerate(names)
    )


def stage_name(stage: str) -> str:
    """A stage in words; a protocol's begins with the evaluation's."""
    if stage.startswith(_PROTOCOL_STAGE):
        return f"Evaluate: {protocol_words(stage.removeprefix(_PROTOCOL_STAGE)).name}"
    return _STAGE_WORDS.get(stage, stage)


def _standing(state: JobState, number: int, place: int) -> str:
    if state is JobState.DONE or number < place:
        return "done"
    return "now" if number == place and not state.is_over else "to come"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a job's log."""

    moment: str
    level: str
    text: str


def log_line(written: str) -> LogLine:
    """A line of a log as it is shown; one that is no JSON object is shown as it is."""
    try:
        content = json.loads(written)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return LogLine("", "", written)
    known = {"timestamp", "level", "event", "job", "run", "logger", "stage"}
    rest = " ".join(f"{name}={value}" for name, value in content.items() if name not in known)
    moment = str(content.get("timestamp", ""))[11:19]
    return LogLine(
        moment, str(content.get("level", "")), f"{content.get('event', '')} {rest}".strip()
    )


@dataclass(frozen=True, slots=True)
class Box:
    """Where the quantiles of a neuron lie on its axis, in percent from the left."""

    low: float
    first_quarter: float
    median: float
    third_quarter: float
    high: float
    zero: float | None


def box_of(statistics: NeuronStatistics) -> Box | None:
    """A neuron's activations as a box; None where they never change."""
    if statistics.constant:
        return None
    axis = Axis(statistics.minimum, statistics.maximum)
    low, first, median, third, high = (
        axis.percent(statistics.quantiles[QUANTILES.index(share)])
        for share in (0.01, 0.25, 0.5, 0.75, 0.99)
    )
    inside = statistics.minimum <= 0.0 <= statistics.maximum
    return Box(low, first, median, third, high, axis.percent(0.0) if inside else None)
