"""NeuroX activation files in HDF5: one dataset per sentence, named by the sentence's index.

A dataset is `n_layers, n_tokens, n_units`; in files of a single layer it may be `n_tokens,
n_units`. The dataset `sentence_to_index` holds one string of JSON, {text: "index"}, written last.

Such an object can hold a text only once. NeuroX marks the later ones, "text (Occurrence 2)", and so
does this module; reading takes the marks off. Older programs overwrite the earlier entry instead:
its activations are still in the file, and its sentence is read with the text None.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from indexer.arrays import FloatArray
from indexer.errors import InputError
from indexer.storage import atomic_path
from neurons.neurox import INDEX_DIGITS, NeuroxSentence, alike

if TYPE_CHECKING:
    import h5py

logger = logging.getLogger(__name__)

_SUFFIX = ".hdf5"
_INDEX_NAME = "sentence_to_index"
_MARK = " (Occurrence "
_SHOWN = 5


@dataclass(frozen=True)
class NeuroxHdf5:
    """An HDF5 file of NeuroX, open for reading; sentences come in ascending order of their index.

    The texts of all sentences are in memory, their activations are not.
    """

    path: Path
    _entries: tuple[tuple[int, str | None], ...]

    @classmethod
    def open(cls, path: Path) -> NeuroxHdf5:
        """Read which sentences there are; their activations are checked when they are read.

        Datasets that are neither sentences nor the index are not looked at.

        Raises:
            InputError: h5py is missing; the file is not HDF5 or is cut; it has no sentences or no
                usable `sentence_to_index`; or that names sentences the file does not hold.
        """
        with _opened(path) as file:
            names = _read(lambda: list(file))
            texts = _texts(_index_text(file, names))
            stored = {int(name) for name in names if _is_index(name)}
            missing = sorted(set(texts) - stored)
            if missing:
                raise InputError(
                    f"it lacks {len(missing)} of the {len(texts)} sentences that {_INDEX_NAME} "
                    f"names, for example {missing[:_SHOWN]}; write it again"
                )
            if not stored:
                raise InputError("it holds no sentences, expected at least one")
        opened = cls(path, tuple((index, texts.get(index)) for index in sorted(stored)))
        if opened.sentences_without_text:
            logger.warning(
                "%s: %d of %d sentences have no text, their entries in %s were overwritten",
                path,
                opened.sentences_without_text,
                len(opened),
                _INDEX_NAME,
            )
        return opened

    @property
    def sentences_without_text(self) -> int:
        """How many sentences have lost their text to a later one that is equal."""
        return sum(text is None for _, text in self._entries)

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self._entries)

    def sentences(self, first: int = 0) -> Generator[NeuroxSentence, None, None]:
        """Read the sentences from the `first`-th on, one in memory at a time.

        Raises:
            InputError: a dataset cannot be read or has not the form that NeuroX gives it, or
                sentences do not fit each other.
        """
        with _opened(self.path) as file:
            yield from alike(
                NeuroxSentence.from_text(index, text, _activations(file, index))
                for index, text in self._entries[first:]
            )


def write_neurox_hdf5(
    path: Path,
    sentences: Iterable[NeuroxSentence],
    *,
    dtype: Literal["float32", "float16"] = "float32",
) -> int:
    """Write sentences as NeuroX reads them; the number written.

    NeuroX itself writes float32; float16 halves the file and NeuroX reads it too.

    Raises:
        InputError: h5py is missing; the name does not end in .hdf5, by which NeuroX tells the
            format; the text of a sentence is not known or ends as if it marked a duplicate; an
            activation is beyond the range of float16; or sentences do not fit each other.
        RunError: the file cannot be written.
    """
    if path.suffix != _SUFFIX:
        raise InputError(f"{path.name} does not end in {_SUFFIX}; NeuroX would not read it")
    library = _library()
    keys: dict[str, str] = {}
    names = _Occurrences()
    # With a full disk the library kills the process, unless Python does the writing.
    with (
        atomic_path(path) as partial,
        partial.open("w+b") as handle,
        library.File(handle, "w") as file,
    ):
        for sentence in alike(sentences):
            keys[_key(sentence, names)] = str(sentence.index)
            file.create_dataset(str(sentence.index), data=_converted(sentence, dtype))
        index = file.create_dataset(_INDEX_NAME, (1,), dtype=library.string_dtype())
        index[0] = json.dumps(keys)
    return len(keys)


@dataclass
class _Occurrences:
    """Names sentences as NeuroX does: a text that is taken gets a mark with the next number."""

    _taken: set[str] = field(default_factory=set)
    _numbers: dict[str, int] = field(default_factory=dict)

    def key(self, text: str) -> str:
        """The key that `text` gets if it comes next."""
        if text not in self._taken:
            return text
        number = self._numbers.get(text, 2)
        while f"{text}{_MARK}{number})" in self._taken:
            number += 1
        self._numbers[text] = number
        return f"{text}{_MARK}{number})"

    def text(self, key: str) -> str:
        """The text that got `key` if that came next."""
        base, mark, _ = key.rpartition(_MARK)
        return base if mark and self.key(base) == key else key

    def take(self, key: str) -> None:
        """Note that a sentence has this key."""
        self._taken.add(key)


def _key(sentence: NeuroxSentence, names: _Occurrences) -> str:
    if sentence.text is None:
        raise InputError(f"the text of sentence {sentence.index} is not known; HDF5 needs it")
    key = names.key(sentence.text)
    if names.text(key) != sentence.text:
        raise InputError(
            f"sentence {sentence.index}, {sentence.text!r}, could not be told from a duplicate of "
            f"{names.text(key)!r}; change its text or write JSON"
        )
    names.take(key)
    return key


def _converted(sentence: NeuroxSentence, dtype: str) -> Any:
    with np.errstate(over="ignore"):
        array = sentence.activations.astype(dtype)
    if not np.isfinite(array).all():
        raise InputError(
            f"sentence {sentence.index} has an activation of "
            f"{np.abs(sentence.activations).max():g}, beyond the range of float16; write float32"
        )
    return array


def _library() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            "HDF5 files need h5py, which is not installed here. Run `pip install h5py`, or use "
            "JSON."
        ) from error
    module: ModuleType = h5py
    return module


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; what is found wrong in it is told with its name."""
    library = _library()
    try:
        file = library.File(path, "r")
    except OSError as error:
        raise InputError(
            f"cannot read {path} as HDF5 ({error}); expected an activation file of NeuroX"
        ) from error
    with file:
        try:
            yield file
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _read(read: Callable[[], Any]) -> Any:
    """What `read` returns; the library tells damage by several kinds of errors."""
    try:
        return read()
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"it is damaged ({error}); write it again") from error


def _is_index(name: str) -> bool:
    digits = name.isascii() and name.isdigit() and len(name) <= INDEX_DIGITS
    return digits and str(int(name)) == name


def _index_text(file: h5py.File, names: list[str]) -> str:
    if _INDEX_NAME not in names:
        raise InputError(
            f"it has no dataset {_INDEX_NAME}, found {sorted(names)[:_SHOWN]}; NeuroX writes it "
            "last, so the extraction was interrupted or the file comes from elsewhere"
        )
    library = _library()
    dataset = _read(lambda: file[_INDEX_NAME])
    if (
        not isinstance(dataset, library.Dataset)
        or dataset.size != 1
        or library.check_string_dtype(dataset.dtype) is None
    ):
        raise InputError(f"{_INDEX_NAME} is {dataset}, expected one string of JSON")
    found = _read(lambda: dataset.asstr()[()])
    return str(np.asarray(found, dtype=object).ravel()[0])


def _texts(index_text: str) -> dict[int, str]:
    """The text of every sentence that has one, by its index."""
    texts: dict[int, str] = {}
    names = _Occurrences()
    for key, index in _pairs(index_text):
        if not isinstance(index, str) or not _is_index(index):
            raise InputError(
                f"{_INDEX_NAME} gives {key!r} the index {index!r}, expected a string of digits"
            )
        if int(index) in texts:
            raise InputError(f"{_INDEX_NAME} gives index {index} to two texts")
        texts[int(index)] = names.text(key)
        names.take(key)
    return texts


def _pairs(index_text: str) -> tuple[tuple[str, Any], ...]:
    expected = (
        f"{_INDEX_NAME} starts with {index_text[:60]!r}, expected one JSON object of texts and "
        'indices, {"a text": "0"}'
    )
    try:
        # As pairs, because a dictionary would lose texts that come twice.
        found = json.loads(index_text, object_pairs_hook=tuple)
    except ValueError as error:
        raise InputError(expected) from error
    if not isinstance(found, tuple):
        raise InputError(expected)
    return found


def _activations(file: h5py.File, index: int) -> FloatArray:
    dataset = _read(lambda: file[str(index)])
    if not isinstance(dataset, _library().Dataset):
        raise InputError(f"sentence {index} is {dataset}, expected a dataset")
    kind = dataset.dtype
    if kind.kind != "f" or kind.itemsize > 4 or dataset.ndim not in (2, 3):
        raise InputError(
            f"sentence {index} is {kind} {dataset.shape}, expected float32 or float16 (n_layers, "
            "n_tokens, n_units) or (n_tokens, n_units)"
        )
    array = np.asarray(_read(lambda: dataset[()]), dtype=np.float32)
    return array if array.ndim == 3 else array[np.newaxis]
