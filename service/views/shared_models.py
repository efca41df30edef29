"""Models that the opened runs of a service share, each loaded once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from indexer.encoder import SentenceEncoder
    from neurons.subject import SubjectModel

Model = TypeVar("Model")


@dataclass(frozen=True, eq=False)
class GuardedModel(Generic[Model]):
    """A model and the lock to hold while it reads.

    Activations are read through hooks, which would see what another thread lets the model read.
    """

    model: Model
    lock: threading.RLock = field(default_factory=threading.RLock)


class SharedModels:
    """Subject models and encoders by what their files hold; one that no run uses is let go."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[tuple[str, ...], GuardedModel[Any]] = WeakValueDictionary()
        self._lock = threading.Lock()

    def subject(
        self, fingerprint: str, precision: str, load: Callable[[], SubjectModel]
    ) -> GuardedModel[SubjectModel]:
        """The subject model of a fingerprint and a precision, loaded if no run has it yet."""
        return self._model(("subject", fingerprint, precision), load)

    def encoder(
        self, fingerprint: str, load: Callable[[], SentenceEncoder]
    ) -> GuardedModel[SentenceEncoder]:
        """The sentence encoder of a fingerprint, likewise."""
        return self._model(("encoder", fingerprint), load)

    def _model(self, key: tuple[str, ...], load: Callable[[], Model]) -> GuardedModel[Model]:
        with self._lock:
            found = self._held.get(key)
            if found is None:
                found = GuardedModel(load())
                self._held[key] = found
            return found
