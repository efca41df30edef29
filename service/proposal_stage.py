"""The stage in which descriptors are suggested: groups of sentences, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from descriptors.records import Group, Proposal, Split
from descriptors.views import SentenceView, Space, WeightedView
from indexer.arrays import IntArray
from service.extraction_stage import ExtractionStage
from service.proposal_files import write_groups, write_proposals

if TYPE_CHECKING:
    from descriptors.alternative_groupings import AlternativeGroupings
    from descriptors.groups import Grouping
    from descriptors.proposer import GroupTexts, Proposer
    from descriptors.proposer_factory import ProposerContext
    from indexer.remembering import RememberingEncoder

GROUPS = "proposals/groups.jsonl"
PROPOSALS = "proposals/proposals.jsonl"
NEURONS = "neurons"

_BACKGROUND = 4096


class ProposalStage(ExtractionStage):
    """Groups of sentences from embeddings, neurons and a focus, and proposals for them."""

    def prepare(self) -> None:
        """Load the proposers besides what the stages before prepare."""
        # A fingerprint looks at the model's files, so a wrong name is found before any work.
        _ = [proposer.fingerprint for proposer in self.proposers]
        super().prepare()

    @cached_property
    def proposers(self) -> tuple[Proposer, ...]:
        """What suggests descriptors."""
        from descriptors.proposer_factory import create_proposer

        return tuple(create_proposer(spec, self.context) for spec in self.settings.proposers)

    @cached_property
    def context(self) -> ProposerContext:
        """What proposers are built from."""
        from descriptors.proposer_factory import RESPONSES, ProposerContext

        return ProposerContext(
            encoder=self.known_texts,
            generation=self.settings.generation,
            device=self.settings.device,
            responses=self.run.path / RESPONSES,
        )

    @cached_property
    def known_texts(self) -> RememberingEncoder:
        """The encoder as proposers get it, which has the vectors of the groups' sentences."""
        from indexer.remembering import RememberingEncoder

        return RememberingEncoder(self.encoder)

    @property
    def groups_need_neurons(self) -> bool:
        """Whether activations take part in forming groups."""
        return NEURONS in self.settings.group_sources

    def propose(self) -> None:
        """Groups of sentences, and what the proposers call them."""
        inputs = {
            "vectors": self.outputs("index"),
            "activations": self.outputs("extract") if self.groups_need_neurons else None,
            "corpus": self.corpus.fingerprint,
            "grouping": self.settings.grouping.model_dump(mode="json"),
            "group_sources": self.settings.group_sources,
            "focus": self.settings.generation.prompts.focus,
            "proposers": [proposer.fingerprint for proposer in self.proposers],
            "seed": self.settings.seed,
        }
        self.run.stage("propose", inputs, [GROUPS, PROPOSALS], self._propose)

    def _propose(self) -> Any:
        from collections import Counter

        from descriptors.lm_proposer import LMProposer
        from service.generation_usage import USAGE, usage_result

        grouping = self.form_groups()
        texts = self.group_texts(grouping.groups)
        proposals: list[Proposal] = []
        rejected: Counter[str] = Counter()
        for proposer in self.proposers:
            # An LM may fill the memory that the stages after this one need.
            with closing(proposer) if isinstance(proposer, LMProposer) else nullcontext():
                for batch in proposer.propose(texts, progress=self.progress):
                    proposals += batch.proposals
                    for count in batch.rejected:
                        rejected[f"{proposer.name}: {count.reason}"] += count.count
        write_groups(self.run.path / GROUPS, grouping.groups)
        write_proposals(self.run.path / PROPOSALS, proposals)
        return {
            "groups": len(grouping.groups),
            "clustered_sentences": grouping.clustered,
            "ungrouped_sentences": grouping.ungrouped,
            "chosen_granularities": [each.model_dump() for each in grouping.chosen],
            "tried_granularities": [each.model_dump() for each in grouping.tried],
            "compared_groupings": [each.model_dump(mode="json") for each in grouping.compared],
            "proposals": len(proposals),
            "rejected_by_proposers": dict(sorted(rejected.items())),
            USAGE: usage_result(self.proposers),
        }

    def form_groups(self) -> Grouping:
        """The groups that are proposed for, from all that takes part in forming them.

        Raises:
            InputError: the corpus is too small for groups.
        """
        from descriptors.alternative_groupings import AlternativeGroupings, alternative_groupings

        found = alternative_groupings(
            self._spaces(),
            self.rows(Split.DISCOVER),
            self.rows(Split.VALIDATION),
            self.settings.grouping,
            self.settings.seed,
        )
        return self._followed_more(found) if isinstance(found, AlternativeGroupings) else found

    def _followed_more(self, alternatives: AlternativeGroupings) -> Grouping:
        from neurons.followed import SampledNeurons
        from neurons.split_rows import Activations
        from service.grouping_choice import GroupingEvidence, followed_more

        evidence = GroupingEvidence(
            neurons=SampledNeurons.of(
                Activations.of_store(self.store),
                self._limited(Split.DISCOVER),
                self._limited(Split.VALIDATION),
                self.settings.seed,
            ),
            vectors=self.vectors,
            index=self.index,
            background_rows=self.background_rows(),
        )
        return followed_more(alternatives, evidence)

    def _limited(self, split: Split) -> IntArray:
        """The rows of a split that take part in forming groups, as many as are clustered."""
        from descriptors.groups import subsample

        limit = self.settings.grouping.maximum_sentences
        return subsample(self.rows(split), limit, self.settings.seed)

    def group_texts(self, groups: Sequence[Group]) -> list[GroupTexts]:
        """What proposers may read of each group, whose vectors they need not compute again."""
        from descriptors.proposer import TEXTS_PER_GROUP, GroupTexts

        read = {row for g in groups for row in (*g.rows[:TEXTS_PER_GROUP], *g.contrast_rows)}
        rows = np.array(sorted(read), dtype=np.int64)
        texts = self.corpus.texts_at(rows)
        self.known_texts.remember(texts, self.embeddings[rows])
        text_of = dict(zip(rows.tolist(), texts, strict=True))
        return [
            GroupTexts(
                group=group,
                texts=tuple(text_of[row] for row in group.rows[:TEXTS_PER_GROUP]),
                contrast_texts=tuple(text_of[row] for row in group.contrast_rows),
            )
            for group in groups
        ]

    def _spaces(self) -> list[Space]:
        """What sentences are grouped by; with neurons also by their text alone."""
        grouping = self.settings.grouping
        text = (
            [WeightedView("embedding", lambda rows: self.vectors[rows])]
            if "embeddings" in self.settings.group_sources
            else []
        )
        focus = (
            [WeightedView("focus", self._focus_view(), grouping.focus_weight)]
            if self.settings.generation.prompts.focus
            else []
        )
        spaces = [Space((*text, *focus))] if text else []
        if self.groups_need_neurons:
            # Alone, the weight changes nothing: vectors are scaled to length 1.
            neuron = WeightedView("neuron", self._activation_view(), grouping.neurons_weight)
            spaces.append(Space((*text, neuron, *focus)))
        return spaces

    def _activation_view(self) -> SentenceView:
        from neurons.activation_view import activation_view
        from neurons.split_rows import Activations

        return activation_view(
            Activations.of_store(self.store), self._limited(Split.DISCOVER), self.settings.seed
        )

    def _focus_view(self) -> SentenceView:
        from descriptors.focus import focus_view

        return focus_view(
            self.settings.generation.prompts.focus or "",
            self.corpus.texts_at(self._limited(Split.DISCOVER)),
            self.encoder,
            self.embeddings,
            self.whitening.mean,
        )

    def background_rows(self) -> IntArray:
        """Discover rows that stand for the corpus when chance is estimated."""
        from descriptors.groups import subsample

        return subsample(self.rows(Split.DISCOVER), _BACKGROUND, self.settings.seed)
