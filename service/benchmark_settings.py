"""What a benchmark is told: data sets, models, proposers, matchers, protocols."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from descriptors.rows import FieldMapping
from descriptors.sample import SAMPLE
from descriptors.segmentation import Segment
from eval.benchmark_records import ComparedSet
from eval.evaluation_settings import ProtocolName
from eval.label_recovery_task import LabelRecoverySettings
from eval.matcher_task import RivalSettings
from eval.matchers import MATCHER_NAMES
from eval.rival_recovery import NULL_NEURONS
from indexer.errors import InputError, RunError
from indexer.records import Record
from indexer.storage import fingerprint, read_json
from neurons.records import Site
from service.complaints import complaints
from service.settings import RunSettings

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAMED_CORPUS = re.compile(f"({_NAME})=(.+)")
_ENDINGS = re.compile(r"\.(gz|jsonl|json|csv|tsv|parquet|txt)(?=\.|$)")
# Names of models may hold a plus sign themselves.
_UNION = re.compile(r"\+(?=(?:embedded|keyphrase)(?:\+|$)|(?:transformers|vllm|openai):)")
_ABSOLUTE_PATH = re.compile(r"(?<![\w./~-])/(?:[^\s/'\"]+/)*([^\s/'\"]+)")
_HUB = "hf:"
_RECOVERY = LabelRecoverySettings()


class BenchmarkCorpus(Record):
    """A data set and how it is read.

    Attributes:
        name: what it is called in tables; unique.
        source: a file, `hf:NAME` or `sample`.
        facets: labels that count for averages and targets; all if empty. The table has them all.
        averaged: whether it counts for the average over data sets.
        limit: read only this many texts.
        segment: whether texts are taken apart into sentences.
        mapping: which fields hold what.
        protocols: which protocols judge its runs besides those of the suite.
    """

    name: str = Field(pattern=f"^{_NAME}$")
    source: str = Field(min_length=1)
    facets: tuple[str, ...] = ()
    averaged: bool = True
    limit: int | None = Field(default=None, ge=1)
    segment: Segment = Segment.SENTENCE
    mapping: FieldMapping = FieldMapping()
    protocols: tuple[ProtocolName, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME=SOURCE`, or a source that gives its own name.

        Raises:
            InputError: the text is neither.
        """
        named = _NAMED_CORPUS.fullmatch(text)
        name, source = (named[1], named[2]) if named else (_name_of(text), text)
        if not name:
            raise InputError(
                f"--corpus {text!r} has no name; expected NAME=PATH, a path, hf:NAME or sample"
            )
        return cls(name=name, source=source)

    @property
    def is_file(self) -> bool:
        """Whether the source is a path."""
        return self.source != SAMPLE and not self.source.startswith(_HUB)

    @property
    def compared(self) -> ComparedSet:
        """The same as tables see it."""
        return ComparedSet(corpus=self.name, facets=self.facets, averaged=self.averaged)

    @property
    def options(self) -> str:
        """What differs from the defaults in how it is read, in words."""
        limit = f"limit {self.limit:,}" if self.limit is not None else ""
        segment = f"segment {self.segment}" if self.segment is not Segment.SENTENCE else ""
        return ", ".join(part for part in (limit, segment) if part)


class BenchmarkSuite(Record):
    """Everything a benchmark compares: each corpus with each model and each proposer is a run.

    Attributes:
        corpora: the data sets.
        models: subject models.
        proposers: each a proposer, or several united with `+`.
        matchers: which matchers are compared.
        protocols: which protocols judge a run besides label recovery, which the table is made of.
        sites: where neurons sit.
        ks: how many descriptors count.
        taus: test AUROC from which on a label is gold.
        minimum_neurons: qualifying neurons that a data set needs to count for averages.
        null_neurons: neurons that the nulls of rival matchers are taken over.
        rivals: free choices of rival matchers.
        run: further settings of every run, as `RunSettings` names them, for example
            `{"matching": {"minimum_auroc": 0.6}}`.
        encoder: the sentence encoder.
        seed: of every random choice.
        device: where models are computed.
    """

    corpora: tuple[BenchmarkCorpus, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(default=("bundled",), min_length=1)
    proposers: tuple[str, ...] = Field(default=("embedded+keyphrase",), min_length=1)
    matchers: tuple[str, ...] = Field(default=MATCHER_NAMES, min_length=1)
    protocols: tuple[ProtocolName, ...] = (
        ProtocolName.CONTROLS,
        ProtocolName.STABILITY,
        ProtocolName.PLANTED,
    )
    sites: tuple[Site, ...] = Field(default=(Site.FFN,), min_length=1)
    ks: tuple[int, ...] = (1, 2)
    taus: tuple[float, ...] = (0.8, 0.9)
    minimum_neurons: int = Field(default=50, ge=1)
    null_neurons: int = Field(default=NULL_NEURONS, ge=0)
    rivals: RivalSettings = RivalSettings()
    run: dict[str, Any] = Field(default_factory=dict)
    encoder: str = "bundled"
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("models", "proposers", "matchers", "protocols", "sites")
    @classmethod
    def _distinct(cls, names: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"expected all different, found {', '.join(map(str, names))}")
        return names

    @field_validator("models", "proposers")
    @classmethod
    def _told_apart(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Columns of a table that look alike could not be told apart."""
        seen = [shown(name) for name in names]
        if alike := sorted({name for name in seen if seen.count(name) > 1}):
            raise ValueError(
                f"several are called {', '.join(alike)} without their folders; rename a folder"
            )
        return names

    @field_validator("matchers")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(MATCHER_NAMES)):
            raise ValueError(
                f"unknown: {', '.join(unknown)}; expected some of {', '.join(MATCHER_NAMES)}"
            )
        return names

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = [corpus.name for corpus in self.corpora]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"corpora of the same name: {', '.join(twice)}; call one by another name, as in "
                "--corpus NAME=PATH"
            )
        return self

    def run_settings(self, corpus: BenchmarkCorpus, model: str, proposer: str) -> RunSettings:
        """What one run is told.

        Raises:
            InputError: something is not possible, for example an unknown proposer.
        """
        protocols = dict.fromkeys([ProtocolName.LABEL_RECOVERY, *self.protocols, *corpus.protocols])
        asked = {
            "corpus": corpus.source,
            "model": model,
            "encoder": self.encoder,
            "proposers": united(proposer),
            "seed": self.seed,
            "device": self.device,
            "reading": {
                "mapping": corpus.mapping.model_dump(),
                "segment": corpus.segment,
                "seed": self.seed,
                "limit": corpus.limit,
            },
            "extraction": {"sites": self.sites},
            "evaluation": {
                "protocols": tuple(protocols),
                "label_recovery": {
                    "ks": tuple(sorted({*_RECOVERY.ks, *self.ks})),
                    "taus": tuple(sorted({*_RECOVERY.taus, *self.taus})),
                },
            },
        }
        try:
            return RunSettings.model_validate(_joined(asked, self.run))
        except ValidationError as error:
            raise InputError("; ".join(complaints(error.errors()))) from error


def _joined(own: dict[str, Any], further: dict[str, Any], where: str = "run") -> dict[str, Any]:
    """Settings with further ones at any depth, none of them given twice."""
    found = dict(own)
    for name, value in further.items():
        place = f"{where}.{name}"
        if name not in own:
            found[name] = value
        elif isinstance(own[name], dict) and isinstance(value, dict):
            found[name] = _joined(own[name], value, place)
        else:
            raise InputError(f"{place} follows from the suite's own fields; leave it out there")
    return found


def read_suite(path: Path) -> BenchmarkSuite:
    """Read a suite; paths of its corpora are relative to the folder of the file.

    Raises:
        InputError: there is no such file, or it is no suite.
    """
    if not path.is_file():
        raise InputError(f"--suite {path}: there is no such file; expected a suite as JSON")
    try:
        told = read_json(path)
    except RunError as error:
        raise InputError(f"--suite {path} is not JSON: {error}") from error
    suite = checked_suite(told, str(path))
    beside = [
        corpus.model_copy(update={"source": str(path.parent / corpus.source)})
        if corpus.is_file
        else corpus
        for corpus in suite.corpora
    ]
    return suite.model_copy(update={"corpora": tuple(beside)})


def checked_suite(told: Any, where: str) -> BenchmarkSuite:
    """A suite from what was written, `where` being what to call it.

    Raises:
        InputError: it is no suite; the message says where and why.
    """
    try:
        return BenchmarkSuite.model_validate(told)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'it'}: "
            f"{each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise InputError(f"{where}: {'; '.join(problems)}") from error


def united(proposer: str) -> tuple[str, ...]:
    """The proposers that `embedded+keyphrase` unites."""
    return tuple(_UNION.split(proposer))


def shown(text: str) -> str:
    """A text for a page that others read: absolute paths without their folders."""
    return _ABSOLUTE_PATH.sub(r"\1", text)


def file_name(text: str) -> str:
    """A name for files; one that had to be changed ends in letters that tell it from others."""
    cleaned = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.")
    return cleaned if cleaned == text else f"{cleaned}-{fingerprint(text)[:8]}".lstrip("-")


def _name_of(source: str) -> str:
    """What a corpus is called that was given no name."""
    name = _ENDINGS.sub("", Path(source.removeprefix(_HUB)).name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")


def chosen(corpora: Sequence[BenchmarkCorpus], names: Sequence[str]) -> list[BenchmarkCorpus]:
    """The corpora of these names, in the order of the suite.

    Raises:
        InputError: there is no corpus of a name.
    """
    known = [corpus.name for corpus in corpora]
    if unknown := [name for name in names if name not in known]:
        raise InputError(
            f"--corpus {', '.join(unknown)}: not in the suite, which has {', '.join(known)}"
        )
    return [corpus for corpus in corpora if corpus.name in names]
