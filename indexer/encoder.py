"""From texts to unit vectors: what an encoder is, the sentence-transformers one, and embedding.

Vectors have length 1, so that their inner product is the cosine similarity.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import FloatArray, IntArray, half_header
from indexer.batching import batches
from indexer.engine import Engine, Held, LocalEngine, Resource
from indexer.errors import BackendError, InputError
from indexer.free_memory import release_free_memory
from indexer.model_folder import folder_fingerprint, model_folder
from indexer.model_loading import one_at_a_time
from indexer.storage import atomic_path, fingerprint

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

WINDOW = 4_096
"""Sentences that `embed_sentences` holds at a time; fixed, so that it never changes the bytes."""

_TOKENS_PER_BATCH = 4_096
_LENGTH_TOLERANCE = 1e-3


class Encoder(Protocol):
    """Whatever turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """What the user called it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies weights, vocabulary and pooling; part of every cache key."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        ...

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """One vector of length 1 per text (`n_texts, dimension`)."""
        ...

    def count_truncated(self, texts: Sequence[str]) -> int:
        """How many texts are longer than the encoder reads, and so are embedded by their start."""
        ...


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """An encoder that sentence-transformers runs.

    A plain encoder without a sentence-transformers configuration is mean-pooled.
    """

    name: str
    fingerprint: str
    dimension: int
    _model: SentenceTransformer

    @property
    def source(self) -> EncoderSource:
        """Where another process finds this encoder."""
        return EncoderSource(self.name, self._model.device.type, self.fingerprint, loaded=self)

    @classmethod
    def load(cls, name: str, device: str) -> SentenceEncoder:
        """Load `bundled`, a local folder or a Hub id onto a torch device.

        Safetensors weights only, no code from the model's folder, and no network unless `name` is
        a Hub id.

        Raises:
            InputError: there is no such model or device, or the model cannot be loaded.
        """
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer

        _check_device(device)
        folder = model_folder(name)
        try:
            with one_at_a_time(), _without_loading_bar():
                model = SentenceTransformer(
                    str(folder),
                    device=device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except (
            OSError,
            ValueError,
            RuntimeError,
            TypeError,
            KeyError,
            ImportError,
            SafetensorError,
        ) as error:
            raise InputError(
                f"model {name!r} in {folder} does not load as a sentence encoder: {error}. "
                "`bundled` works, and so does any encoder that sentence-transformers can load."
            ) from error
        # Asking the model works for every kind of last module.
        dimension = int(model.encode(["dimension"], show_progress_bar=False).shape[1])
        # str(model) holds the pooling, also where the folder does not say it.
        identity = fingerprint({"files": folder_fingerprint(folder), "modules": str(model)})
        return cls(name, identity, dimension, model)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """One vector of length 1 per text (`n_texts, dimension`).

        Raises:
            ValueError: `texts` is a single string.
            InputError: a text holds half of a surrogate pair, which is no character.
            BackendError: the model gives vectors that have no direction.
        """
        if isinstance(texts, str):
            raise ValueError(f"texts is one string, expected a sequence of them: [{texts[:40]!r}]")
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        from indexer.progress_bar import ProgressBar

        _check_characters(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        with ProgressBar(
            total=len(texts), unit=" sentences", desc="embed", disable=not progress
        ) as bar:
            for rows in batches(self._lengths(texts), _TOKENS_PER_BATCH):
                vectors[rows] = self._model.encode(
                    [texts[row] for row in rows],
                    batch_size=len(rows),
                    show_progress_bar=False,
                    normalize_embeddings=True,
                    convert_to_numpy=True,
                )
                bar.update(len(rows))
        lengths = np.linalg.norm(vectors, axis=1)
        wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= _LENGTH_TOLERANCE))
        if wrong.size:
            raise BackendError(
                f"model {self.name!r} gave {wrong.size} of {len(texts)} texts a vector of length "
                f"{lengths[wrong[0]]}, expected 1; the first is {texts[wrong[0]][:80]!r}"
            )
        return vectors

    def _lengths(self, texts: Sequence[str]) -> IntArray:
        """Tokens that are read of each text; characters where the model has no limit of tokens."""
        limit = self._model.max_seq_length
        if limit is None:
            return np.array([len(text) for text in texts], dtype=np.int64)
        tokens = self._model.tokenizer(
            list(texts), truncation=True, max_length=limit, return_attention_mask=False
        )
        return np.array([len(ids) for ids in tokens["input_ids"]], dtype=np.int64)

    def count_truncated(self, texts: Sequence[str]) -> int:
        """How many texts have more tokens than the model reads."""
        limit = self._model.max_seq_length
        if limit is None:
            return 0
        # A token covers at least one byte, so most texts need no second look.
        candidates = [text for text in texts if len(text.encode("utf-8", "replace")) + 2 > limit]
        if not candidates:
            return 0
        tokens = self._model.tokenizer(candidates, truncation=False, verbose=False)["input_ids"]
        return sum(len(ids) > limit for ids in tokens)


@dataclass(frozen=True)
class EncoderSource:
    """An encoder by its name; what is loaded stays behind when this goes elsewhere."""

    name: str
    device: str
    fingerprint: str
    loaded: SentenceEncoder | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> str:
        """Equal keys load equal encoders."""
        return f"{self.fingerprint} {self.device}"

    def load(self) -> SentenceEncoder:
        """The encoder.

        Raises:
            InputError: it cannot be loaded here.
            BackendError: what has its name here is another encoder.
        """
        if self.loaded is not None:
            return self.loaded
        found = SentenceEncoder.load(self.name, self.device)
        if found.fingerprint != self.fingerprint:
            raise BackendError(
                f"encoder {self.name} on {platform.node()} is not the one that was asked for: its "
                f"fingerprint is {found.fingerprint}, expected {self.fingerprint}. Put the same "
                "files on all machines."
            )
        return found

    def __reduce__(self) -> tuple[type[EncoderSource], tuple[str, str, str]]:
        return EncoderSource, (self.name, self.device, self.fingerprint)


@dataclass(frozen=True, slots=True)
class EmbeddingReport:
    """What `embed_sentences` wrote, and how many sentences were embedded only by their start."""

    n_sentences: int
    dimension: int
    n_truncated: int


def embed_sentences(
    texts: Sequence[str],
    encoder: Encoder,
    path: Path,
    *,
    engine: Engine | None = None,
    progress: bool = False,
) -> EmbeddingReport:
    """Write the vectors of `texts` to a float16 .npy file (`n_sentences, dimension`), atomically.

    Works in windows of `WINDOW` sentences, so memory does not grow with their number.

    Args:
        texts: any sequence, also one that reads its slices from a file.
        encoder: gives the vectors.
        path: of the file, to be read with `numpy.load(path, mmap_mode="r")`.
        engine: where windows are embedded; in this process if None.
        progress: show a bar on stderr.

    Raises:
        RunError: the file cannot be written.
    """
    from indexer.progress_bar import ProgressBar

    engine = engine or LocalEngine()
    held: Resource[Encoder] = Held(encoder.fingerprint, encoder)
    resource = encoder.source if isinstance(encoder, SentenceEncoder) else held
    windows = (texts[start : start + WINDOW] for start in range(0, len(texts), WINDOW))
    n_truncated = 0
    with (
        atomic_path(path) as partial,
        # Plain writes: on a full disk they raise, where a memory map kills the process.
        partial.open("wb") as handle,
        ProgressBar(total=len(texts), unit=" sentences", desc="embed", disable=not progress) as bar,
    ):
        handle.write(half_header(len(texts), encoder.dimension))
        for window in engine.map(_embedded, resource, windows):
            handle.write(window.vectors.tobytes())
            n_truncated += window.n_truncated
            bar.update(len(window.vectors))
            release_free_memory()
    return EmbeddingReport(len(texts), encoder.dimension, n_truncated)


@dataclass(frozen=True)
class _Embedded:
    vectors: NDArray[np.float16]
    n_truncated: int


def _embedded(encoder: Encoder, texts: Sequence[str]) -> _Embedded:
    return _Embedded(encoder.encode(texts).astype("<f2"), encoder.count_truncated(texts))


def _check_device(device: str) -> None:
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise InputError(f"no device {device!r}; expected cpu, cuda or cuda:<number>") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} is asked for but torch sees no GPU; use --device cpu")


def _check_characters(texts: Sequence[str]) -> None:
    for row, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"text {row} holds {text[error.start]!a} at character {error.start}, half of a "
                "surrogate pair; write it as UTF-8"
            ) from error


@contextmanager
def _without_loading_bar() -> Iterator[None]:
    """Keep transformers from drawing a bar for weights that load in under a second."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
