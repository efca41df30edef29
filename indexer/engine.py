"""Where the heavy loops run: in this process, or on whatever machines an engine reaches.

An engine applies one function to many portions and hands the answers back in the order of the
portions, so that what is written does not depend on where it was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

Loaded = TypeVar("Loaded")
Covariant = TypeVar("Covariant", covariant=True)
Portion = TypeVar("Portion")
Answer = TypeVar("Answer")


class Resource(Protocol[Covariant]):
    """What every portion needs, such as a model; it can be pickled, what it loads need not.

    `key` identifies what is loaded: a process loads the same key once.
    """

    @property
    def key(self) -> str:
        """Equal keys load equal things."""
        ...

    def load(self) -> Covariant:
        """Load it, or give what this process has loaded already."""
        ...


@dataclass(frozen=True)
class Held(Generic[Loaded]):
    """What is loaded already, and goes along as it is."""

    key: str
    value: Loaded

    def load(self) -> Loaded:
        """The value."""
        return self.value


class Engine(Protocol):
    """Applies a function to portions."""

    @property
    def in_process(self) -> bool:
        """Whether the work runs in this process, where it may call back whoever asked."""
        ...

    def map(
        self,
        work: Callable[[Loaded, Portion], Answer],
        resource: Resource[Loaded],
        portions: Iterable[Portion],
    ) -> Iterator[Answer]:
        """Yield `work(resource.load(), portion)` for each portion, in their order.

        Portions are taken as they are needed, a few ahead of the answers. `work` is a function of a
        module, and gives the same answer for the same portion wherever it runs. Nobody changes a
        portion or an answer: arrays in them may be read-only. Whoever stops early closes the
        iterator (dropping it does), and what is under way is given up.
        """
        ...


class LocalEngine:
    """This process, one portion after the other."""

    in_process = True

    def map(
        self,
        work: Callable[[Loaded, Portion], Answer],
        resource: Resource[Loaded],
        portions: Iterable[Portion],
    ) -> Iterator[Answer]:
        """Yield the answer for each portion, in their order."""
        loaded = resource.load()
        for portion in portions:
            yield work(loaded, portion)


def read_ahead(portions: Iterable[Portion]) -> Iterator[Portion]:
    """Yield portions, the next of which is made in another thread while one is in use."""
    ahead = iter(portions)

    def following() -> tuple[Portion, ...]:
        return tuple(islice(ahead, 1))

    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(following)
        while found := made.result():
            made = pool.submit(following)
            yield found[0]
