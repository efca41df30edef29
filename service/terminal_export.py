"""What was exported, as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.export import TableExport
from service.terminal import new_console

if TYPE_CHECKING:
    from service.export import NeuroxExport


def show_exported(done: TableExport | NeuroxExport) -> None:
    """Show how much was written, what was left out, and where it is."""
    console = new_console()
    if isinstance(done, TableExport):
        console.print(f"{done.rows:,} rows of {done.what}")
    else:
        counts = done.counts
        console.print(
            f"{counts.words:,} words of {counts.sentences:,} sentences, {len(done.layers)} layers "
            f"({', '.join(done.layers)}) of {done.units:,} units"
        )
        if counts.words_left_out or counts.sentences_left_out:
            console.print(
                f"left out: {counts.words_left_out:,} words the model reads no token of "
                f"({counts.truncated_sentences:,} sentences are longer than it reads), "
                f"{counts.sentences_left_out:,} sentences without any other word"
            )
        console.print(f"sentences: {done.sentences_path}", soft_wrap=True)
    console.print(f"file: {done.path}", soft_wrap=True)
