"""Everything a run can be told, validated before anything is read."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from descriptors.budget import Budget
from descriptors.corpus import CorpusSettings
from descriptors.curation import CurationSettings
from descriptors.generation_settings import GenerationSettings
from descriptors.grouping_settings import GroupingSettings
from descriptors.membership import MembershipSettings
from eval.evaluation_settings import EvaluationSettings
from eval.lexical import LexicalSettings
from indexer.records import Record
from neurons.matching import MatchingSettings
from neurons.reading import ExtractionSettings


class RunSettings(Record):
    """The settings of one run; every field is part of the manifest.

    `encoder` embeds sentences and descriptors; `model` is the subject model; `group_sources` says
    where the groups of sentences that proposers read come from.
    """

    corpus: str
    model: str = "bundled"
    encoder: str = "bundled"
    proposers: tuple[str, ...] = ("embedded", "keyphrase")
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    unsafe_weights: bool = False
    group_sources: tuple[Literal["embeddings", "neurons"], ...] = ("embeddings", "neurons")
    reading: CorpusSettings = CorpusSettings()
    grouping: GroupingSettings = GroupingSettings()
    generation: GenerationSettings = GenerationSettings()
    curation: CurationSettings = CurationSettings()
    membership: MembershipSettings = MembershipSettings()
    extraction: ExtractionSettings = ExtractionSettings()
    matching: MatchingSettings = MatchingSettings()
    lexical: LexicalSettings = LexicalSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("proposers", "group_sources")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) != len(names):
            raise ValueError(f"expected one or more, all different, found {names}")
        return names

    @model_validator(mode="after")
    def _budget_holds(self) -> Self:
        """A limit that nothing keeps to would be worse than none."""
        limited = self.generation.openai.budget != Budget()
        if limited and not any(name.startswith("openai:") for name in self.proposers):
            raise ValueError(
                "--max-requests and --max-tokens limit what openai:MODEL spends, and no such "
                f"proposer is asked for (found {', '.join(self.proposers)}); leave them out"
            )
        return self
