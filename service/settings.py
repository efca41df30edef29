"""Everything a run can be told, validated before anything is read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from descriptors.corpus import CorpusSettings
from descriptors.curation import CurationSettings
from descriptors.groups import GroupingSettings
from descriptors.membership import MembershipSettings
from indexer.records import Record
from neurons.extraction import ExtractionSettings
from neurons.matching import MatchingSettings


class RunSettings(Record):
    """The settings of one run; every field is part of the manifest.

    `encoder` embeds sentences and descriptors; `model` is the subject model.
    """

    corpus: str
    model: str = "bundled"
    encoder: str = "bundled"
    proposers: tuple[str, ...] = ("keyphrase",)
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    unsafe_weights: bool = False
    reading: CorpusSettings = CorpusSettings()
    grouping: GroupingSettings = GroupingSettings()
    curation: CurationSettings = CurationSettings()
    membership: MembershipSettings = MembershipSettings()
    extraction: ExtractionSettings = ExtractionSettings()
    matching: MatchingSettings = MatchingSettings()

    @field_validator("proposers")
    @classmethod
    def _distinct(cls, proposers: tuple[str, ...]) -> tuple[str, ...]:
        if not proposers or len(set(proposers)) != len(proposers):
            raise ValueError(f"expected one or more different proposers, found {proposers}")
        return proposers
