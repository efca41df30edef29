"""Writes down how far a job is while its process works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from indexer.errors import RunError
from indexer.progress import Count
from service.jobs.job_files import JobFiles
from service.jobs.records import JobProgress

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_WRITES = 0.4


class ProgressFile:
    """Is told of progress and has the last of it written, some two times a second at most.

    Args:
        files: of the job.
        stages: those it goes through, in order.
        known: what every line of the log tells; the stage is added to it.
    """

    def __init__(
        self, files: JobFiles, stages: Sequence[str], known: MutableMapping[str, Any]
    ) -> None:
        self._known = known
        self._files = files
        self._stages = list(stages)
        self._latest: JobProgress | None = None
        self._stop = threading.Event()

    def stage_begins(self, name: str) -> None:
        """A stage is begun; one that nobody foresaw counts as part of the one before."""
        number = self._latest.number if self._latest is not None else 1
        if name in self._stages:
            number = self._stages.index(name) + 1
        self._latest = JobProgress(stage=name, number=number, n_stages=len(self._stages))
        self._known["stage"] = name
        logger.info("stage %s begins", name)

    def counted(self, count: Count) -> None:
        """A progress bar of the stage moves on."""
        if (latest := self._latest) is not None:
            counted = {"doing": count.doing, "done": count.done, "total": count.total}
            self._latest = latest.model_copy(update=counted)

    @contextmanager
    def written(self) -> Iterator[None]:
        """Meanwhile, what is told reaches the file of the job."""
        writer = threading.Thread(target=self._write, name="progress", daemon=True)
        writer.start()
        try:
            yield
        finally:
            self._stop.set()
            writer.join()

    def _write(self) -> None:
        last: JobProgress | None = None
        is_over = False
        while not is_over:
            is_over = self._stop.wait(_SECONDS_BETWEEN_WRITES)
            if (latest := self._latest) is None or latest == last:
                continue
            try:
                self._files.write_progress(latest)
            except RunError as error:
                # A full disk ends the job where it writes results, in words of its own.
                logger.warning("progress is not told: %s", error)
            last = latest
