"""LMs are let go of once they have proposed, and when they fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from descriptors.generation import Answer, ChatRequest, FinishReason, RequestFailure
from descriptors.groups import Grouping
from descriptors.lm_proposer import LMProposer
from descriptors.proposer import GroupTexts
from descriptors.records import Group
from indexer.errors import BackendError
from service.proposal_stage import ProposalStage

PHRASES = '{"descriptors": ["late parcel"]}'


class Loaded:
    """An LM that notes what became of it."""

    fingerprint = "x"

    def __init__(self, name: str, log: list[str], *, fails: bool = False) -> None:
        self.name = name
        self._log = log
        self._fails = fails

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        self._log.append(f"{self.name} asked")
        if self._fails:
            raise BackendError("no memory")
        for position, _ in enumerate(requests):
            yield (
                position,
                Answer(
                    text=PHRASES, finish=FinishReason.STOP, prompt_tokens=1, completion_tokens=1
                ),
            )

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        return [1 for _ in requests]

    def close(self) -> None:
        self._log.append(f"{self.name} closed")


def propose(folder: Path, *generators: Loaded) -> Any:
    """Run the stage on one group of one sentence."""
    group = Group(id="g", source="test", rows=(0,))
    (folder / "proposals").mkdir()
    stage = SimpleNamespace(
        proposers=tuple(LMProposer(generator) for generator in generators),
        progress=False,
        run=SimpleNamespace(path=folder),
        form_groups=lambda: Grouping((group,), (), (), clustered=1, ungrouped=0),
        group_texts=lambda groups: [
            GroupTexts(each, ("The parcel came late.",)) for each in groups
        ],
    )
    return ProposalStage._propose(cast(ProposalStage, stage))


def test_an_lm_is_closed_before_the_next_one_is_asked(tmp_path: Path) -> None:
    log: list[str] = []
    assert propose(tmp_path, Loaded("a", log), Loaded("b", log))["proposals"] == 2
    assert log == ["a asked", "a closed", "b asked", "b closed"]


def test_an_lm_that_fails_is_closed(tmp_path: Path) -> None:
    log: list[str] = []
    with pytest.raises(BackendError):
        propose(tmp_path, Loaded("a", log, fails=True))
    assert log == ["a asked", "a closed"]
