"""A pilot: some of a run's groups are asked about for real, so that a plan knows what answers are.

Its answers go to the store of the run, which does not ask for them again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from descriptors.lm_proposer import GenerationUsage
from descriptors.proposer_factory import BackEnd, ProposerSpec
from indexer.errors import InputError
from indexer.records import Record

if TYPE_CHECKING:
    from descriptors.generation_settings import GenerationSettings
    from descriptors.lm_proposer import LMProposer
    from descriptors.proposer import GroupTexts
    from service.settings import RunSettings


class Pilot(Record):
    """What asking about `groups` took; `usage` counts stored answers too, `sent` does not.

    `wave_seconds` is what as many requests take as the back end works on at a time, `wave` of them,
    and `start_seconds` what it takes beyond that to load. Both are None where too few were sent.
    """

    groups: int
    usage: GenerationUsage
    sent: int
    wave: int = Field(ge=1)
    wave_seconds: float | None
    start_seconds: float | None

    @property
    def unanswered_share(self) -> float:
        """Requests without an answer among all."""
        failed = sum(failure.count for failure in self.usage.failures)
        return failed / self.usage.requests if self.usage.requests else 0.0

    def minutes(self, requests: int) -> float | None:
        """What `requests` take at the speed of the pilot; None where it was not measured."""
        if self.wave_seconds is None or self.start_seconds is None:
            return None
        return (self.start_seconds + self.wave_seconds * math.ceil(requests / self.wave)) / 60


def check_pilot(settings: RunSettings, size: int | None) -> None:
    """Refuse a pilot of nothing or for nobody.

    Raises:
        InputError: `size` is below 1, or no proposer asks an LM.
    """
    if size is None:
        return
    if size < 1:
        raise InputError(f"--pilot: found {size}, expected a number of groups from 1")
    if all(ProposerSpec.parse(written).model is None for written in settings.proposers):
        raise InputError(
            "--pilot asks generative LMs, and none is among the proposers (found "
            f"{', '.join(settings.proposers)}); leave it out, --prepare alone works"
        )


def ask_pilot(
    proposer: LMProposer,
    groups: Sequence[GroupTexts],
    size: int,
    wave: int,
    *,
    progress: bool = False,
) -> Pilot:
    """Ask about `size` of the groups, spread evenly, and let go of the LM.

    Raises:
        BackendError: the LM cannot be used, or a budget is spent; answers until then are stored.
        RunError: the store cannot be read or written.
    """
    chosen = np.linspace(0, len(groups) - 1, min(size, len(groups))).astype(np.int64).tolist()
    with closing(proposer):
        began = time.perf_counter()
        # The first group pays for what is loaded on first use.
        proposer.try_out(groups, chosen[:1])
        loaded, first_sent = time.perf_counter(), proposer.sent
        usage = proposer.try_out(groups, chosen, progress=progress)
        ended, sent = time.perf_counter(), proposer.sent
    wave_seconds = (ended - loaded) / math.ceil(sent / wave) if first_sent and sent else None
    return Pilot(
        groups=len(chosen),
        usage=usage,
        sent=first_sent + sent,
        wave=wave,
        wave_seconds=wave_seconds,
        start_seconds=None if wave_seconds is None else max(0.0, loaded - began - wave_seconds),
    )


def at_once(back_end: BackEnd, generation: GenerationSettings) -> int:
    """How many requests take no longer than one.

    Not known of vLLM, which takes what fits; 1 makes its time an upper bound.
    """
    if back_end is BackEnd.OPENAI:
        return generation.openai.concurrency
    if back_end is BackEnd.TRANSFORMERS:
        return generation.transformers.batch_size
    return 1
