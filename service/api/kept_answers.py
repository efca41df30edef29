"""Answers kept as bytes, so that what is read often costs no more than sending it."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import ref

from cachetools import LRUCache

from service.views.run_view import RunView, Standing

MAXIMUM_BYTES = 64 * 2**20
_READABLE = frozenset({Standing.CURRENT, Standing.UPDATING})


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The body of an answer, and the run as it was when it was made.

    Attributes:
        view: the run; not held open by this.
        etag: of the run.
        body: JSON.
    """

    view: ref[RunView]
    etag: str
    body: bytes

    @classmethod
    def of(cls, view: RunView, body: bytes) -> KeptAnswer:
        """An answer of a run that is open."""
        return cls(ref(view), view.etag, body)

    @property
    def is_right(self) -> bool:
        """Whether the run would give the same answer now."""
        view = self.view()
        return view is not None and view.standing in _READABLE


class KeptAnswers:
    """The answers read last, of all runs of a service; for the thread of the event loop alone.

    Args:
        maximum_bytes: the size of all bodies together.
    """

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES) -> None:
        self._answers: LRUCache[tuple[str, str], KeptAnswer] = LRUCache(
            maximum_bytes, getsizeof=lambda answer: len(answer.body)
        )

    def get(self, run: str, what: str) -> KeptAnswer | None:
        """The answer about `what` in a run, None if there is none that is right."""
        answer = self._answers.get((run, what))
        if answer is None or answer.is_right:
            return answer
        del self._answers[run, what]
        return None

    def keep(self, run: str, what: str, answer: KeptAnswer) -> None:
        """Keep an answer, unless it alone is larger than all may be."""
        if len(answer.body) <= self._answers.maxsize:
            self._answers[run, what] = answer
