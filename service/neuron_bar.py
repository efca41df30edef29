"""The progress bar of whatever goes through neurons block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neurons.split_rows import Block, Watch


def neuron_bar(doing: str, *, shown: bool) -> Watch:
    """Shows on stderr how many neurons of the blocks have been gone through."""

    def watch(blocks: Iterable[Block], n_neurons: int) -> Iterator[Block]:
        from indexer.progress_bar import ProgressBar

        with ProgressBar(total=n_neurons, desc=doing, unit="neuron", disable=not shown) as bar:
            for block in blocks:
                yield block
                bar.update(block.shape[1])

    return watch
