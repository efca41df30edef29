"""NeuroX activation files in JSON: one line per sentence.

A line is {"linex_index": 0, "features": [{"token": "a", "layers": [{"index": 0, "values": []}]}]}
with layers numbered from 0. NeuroX rounds values to 8 decimals; they are written in full here, so
that float32 comes back bit for bit. A file that was cut between two lines cannot be told from a
complete one.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from indexer.errors import InputError
from indexer.records import Record
from indexer.storage import atomic_path
from neurons.neurox import NeuroxSentence, alike

_SUFFIX = ".json"


class _Layer(Record):
    index: int
    values: list[float]


class _Feature(Record):
    token: str
    layers: list[_Layer]


class _Line(Record):
    linex_index: int
    features: list[_Feature]


@dataclass(frozen=True)
class NeuroxJson:
    """A JSON file of NeuroX, open for reading; sentences come in the order of its lines."""

    path: Path
    n_sentences: int

    @classmethod
    def open(cls, path: Path) -> NeuroxJson:
        """Count the sentences of the file; each is checked when it is read.

        Raises:
            InputError: the file cannot be read or is empty.
        """
        try:
            with path.open("rb") as handle:
                n_sentences = sum(1 for _ in handle)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        if n_sentences == 0:
            raise InputError(f"{path} is empty, expected one line of JSON per sentence")
        return cls(path, n_sentences)

    def __len__(self) -> int:
        """The number of sentences."""
        return self.n_sentences

    def sentences(self, first: int = 0) -> Generator[NeuroxSentence, None, None]:
        """Read the sentences from the `first`-th on, one in memory at a time.

        Raises:
            InputError: the file cannot be read, a line is not a sentence as NeuroX writes it, or
                sentences do not fit each other.
        """
        try:
            yield from alike(self._lines(first))
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from error
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error

    def _lines(self, first: int) -> Iterator[NeuroxSentence]:
        with self.path.open("rb") as handle:
            for number, line in enumerate(handle):
                if number < first:
                    continue
                try:
                    yield _sentence(line)
                except InputError as error:
                    raise InputError(f"line {number + 1}: {error}") from error


def write_neurox_json(path: Path, sentences: Iterable[NeuroxSentence]) -> int:
    """Write sentences as NeuroX reads them; the number written.

    Raises:
        InputError: the name does not end in .json, by which NeuroX tells the format; the tokens of
            a sentence are not known; or sentences do not fit each other.
        RunError: the file cannot be written.
    """
    if path.suffix != _SUFFIX:
        raise InputError(f"{path.name} does not end in {_SUFFIX}; NeuroX would not read it")
    written = 0
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as handle:
        for sentence in alike(sentences):
            handle.write(_line(sentence) + "\n")
            written += 1
    return written


def _line(sentence: NeuroxSentence) -> str:
    if sentence.tokens is None:
        raise InputError(
            f"the tokens of sentence {sentence.index} ({sentence.text!r}) are not known; JSON "
            "needs them, HDF5 does without"
        )
    features = [
        {
            "token": token,
            "layers": [
                {"index": layer, "values": values}
                for layer, values in enumerate(sentence.activations[:, place].tolist())
            ],
        }
        for place, token in enumerate(sentence.tokens)
    ]
    return json.dumps({"linex_index": sentence.index, "features": features}, allow_nan=False)


def _sentence(line: bytes) -> NeuroxSentence:
    try:
        read = _Line.model_validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the line"
        raise InputError(
            f"found at {where}: {first['msg']}; expected an object with linex_index and features "
            "(token, layers with index and values)"
        ) from error
    n_layers = len(read.features[0].layers) if read.features else 0
    for place, feature in enumerate(read.features):
        numbers = [layer.index for layer in feature.layers]
        if numbers != list(range(n_layers)):
            raise InputError(
                f"token {place} has layers {numbers}, expected {list(range(n_layers))}"
            )
    values = [[layer.values for layer in feature.layers] for feature in read.features]
    try:
        # A value beyond float32 becomes infinite, which the sentence then refuses.
        with np.errstate(over="ignore"):
            array = np.asarray(values, dtype=np.float32)
    except ValueError as error:
        raise InputError("its layers have different numbers of values") from error
    tokens = [feature.token for feature in read.features]
    if array.ndim == 3:
        array = np.ascontiguousarray(array.swapaxes(0, 1))
    return NeuroxSentence.from_tokens(read.linex_index, tokens, array)
