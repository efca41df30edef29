"""The texts that are measured on: development data beside the checkout, else the sample corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"

_ENOUGH = 24_000


def shared_corpus(name: str) -> Path | None:
    """The development data set `name`, or None where the data is not there."""
    path = SHARED / f"{name}.jsonl.gz"
    return path if path.is_file() else None


def many_texts(workspace: Path) -> Path:
    """A labelled corpus of at least 23,000 short texts: clinc150, or the sample many times over."""
    found = shared_corpus("clinc150")
    if found is not None:
        return found
    path = workspace / "repeated_sample.jsonl"
    if not path.exists():
        rows = islice(_repeated_sample(), _ENOUGH)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def sentences(workspace: Path, wanted: int) -> list[str]:
    """The first sentences of `many_texts`, as a run would read them."""
    from descriptors.corpus import CorpusSettings, read_corpus
    from descriptors.ingest import ingest

    path = workspace / "sentences.parquet"
    ingest(str(many_texts(workspace)), path, CorpusSettings(limit=wanted))
    return read_corpus(path).texts_at(range(wanted))


def _repeated_sample() -> Iterator[dict[str, object]]:
    from descriptors.sample import sample_corpus_path

    lines = sample_corpus_path().read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    copy = 0
    while True:
        copy += 1
        for row in rows:
            # A suffix keeps the copies distinct sentences.
            yield {"text": f"{row['text']} ({copy})", "labels": row.get("labels", [])}
