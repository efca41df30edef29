"""The texts that are measured on: development data beside the checkout, else the sample corpus."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"

_SHORT_TEXTS = ("clinc150", "banking77", "snips")
_ENOUGH = 48_000


def shared_corpus(name: str) -> Path | None:
    """The development data set `name`, or None where the data is not there."""
    path = SHARED / f"{name}.jsonl.gz"
    return path if path.is_file() else None


def many_texts(workspace: Path) -> Path:
    """A labelled corpus of some 48,000 short texts, 15,000 and more of clinc150 first.

    Where the development data is absent it is the sample corpus, many times over.
    """
    path = workspace / "many_texts.jsonl.gz"
    if path.exists():
        return path
    parts = [found for name in _SHORT_TEXTS if (found := shared_corpus(name)) is not None]
    if len(parts) == len(_SHORT_TEXTS):
        # Gzip files one after the other are a gzip file.
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        return path
    with gzip.open(path, "wt", encoding="utf-8") as handle:
        handle.writelines(json.dumps(row) + "\n" for row in islice(_repeated_sample(), _ENOUGH))
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
    from descriptors.segmentation import Segment, segment

    lines = sample_corpus_path().read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for copy in count(1):
        for row in rows:
            for sentence in segment(row["text"], Segment.SENTENCE):
                # A number in front keeps the copies distinct, and each of them one sentence.
                yield {"text": f"{copy} {sentence}", "labels": row["labels"]}
