"""What the proposers of a run will take: groups, requests, tokens, money.

The groups are formed for real, of as many sentences as the run clusters, since no shortcut
foretells how many there will be; that is why a plan with a generative proposer embeds the corpus.
Prompts are rendered and counted; nothing is sent, save by a pilot, and no weights of an LM are
loaded, save those of the small embedded one, which is timed like everything else on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from descriptors.lm_forecast import LMForecast, LMTotals
from descriptors.records import Split
from indexer.arrays import FloatArray
from indexer.records import Record
from service.plan_pilot import Pilot

if TYPE_CHECKING:
    from descriptors.corpus import Corpus
    from descriptors.proposer import GroupTexts
    from descriptors.proposer_factory import ProposerContext
    from indexer.encoder import Encoder
    from service.settings import RunSettings

VALIDATION_SENTENCES = 5_000
"""Held-out sentences that choose the number of clusters in a plan; the run takes more if it can."""

_TIMED_GROUPS = 8


class Prices(Record):
    """Money for a million tokens, in any currency; None is unknown."""

    prompt: float | None = Field(default=None, ge=0.0)
    completion: float | None = Field(default=None, ge=0.0)


class ProposerForecast(Record):
    """What one proposer will take.

    `lm` is None for proposers that ask no LM. `minutes` and `money` are those of requests to be
    sent, `whole_money` is with what is stored; None where no speed or no price is known. `pilot` is
    what was asked for the plan.
    """

    proposer: str
    groups: int
    lm: LMForecast | None
    minutes: float | None
    money: float | None
    whole_money: float | None = None
    pilot: Pilot | None = None


def planned_groups(
    corpus: Corpus, encoder: Encoder, settings: RunSettings, *, progress: bool = False
) -> tuple[GroupTexts, ...]:
    """Form the groups as the run does from embeddings alone.

    They are the run's own where the discover split has at most `grouping.maximum_sentences` and
    the validation split `VALIDATION_SENTENCES`; else their number is close.

    Raises:
        InputError: the corpus is too small for groups.
    """
    from descriptors.groups import form_groups, subsample
    from descriptors.proposer import TEXTS_PER_GROUP, GroupTexts
    from descriptors.views import Space, WeightedView
    from indexer.whitening import Whitening

    grouping, seed = settings.grouping, settings.seed
    discover = subsample(corpus.rows(Split.DISCOVER), grouping.maximum_sentences, seed)
    validation = subsample(corpus.rows(Split.VALIDATION), VALIDATION_SENTENCES, seed)
    texts = corpus.texts_at(np.concatenate([discover, validation]))
    embeddings = _halved(encoder.encode(texts, progress=progress))
    places = np.arange(len(texts))
    own, held_out = places[: len(discover)], places[len(discover) :]
    space = Whitening.fit(embeddings, own, grouping.n_components, grouping.whitening_power)
    vectors = _halved(space.apply(embeddings))
    by_text = Space((WeightedView("embedding", vectors.__getitem__),))
    formed = form_groups([by_text], own, held_out, grouping, seed)
    return tuple(
        GroupTexts(
            group=group,
            texts=tuple(texts[place] for place in group.rows[:TEXTS_PER_GROUP]),
            contrast_texts=tuple(texts[place] for place in group.contrast_rows),
        )
        for group in formed.groups
    )


def forecast_proposer(
    written: str,
    groups: Sequence[GroupTexts],
    context: ProposerContext,
    prices: Prices,
    pilot: Pilot | None = None,
) -> ProposerForecast:
    """What the proposer that `written` names takes for `groups`.

    A pilot tells how fast the LM is, if it is not told, and how many requests bring no answer.

    Raises:
        InputError: it cannot be used.
        RunError: its stored answers cannot be read.
    """
    from descriptors.lm_forecast import forecast_lm
    from descriptors.proposer_factory import ProposerSpec

    spec = ProposerSpec.parse(written)
    if spec.model is None:
        minutes = _seconds_per_group(written, groups, context) * len(groups) / 60
        return ProposerForecast(
            proposer=written, groups=len(groups), lm=None, minutes=minutes, money=None
        )
    lm = forecast_lm(spec, groups, context, pilot.unanswered_share if pilot else 0.0)
    speed = context.generation.tokens_per_second
    measured = pilot.minutes(lm.requests) if pilot else None
    return ProposerForecast(
        proposer=written,
        groups=len(groups),
        lm=lm,
        minutes=(lm.prompt_tokens + lm.completion_tokens) / speed / 60 if speed else measured,
        money=money(lm, prices),
        whole_money=money(lm.whole, prices),
        pilot=pilot,
    )


def money(tokens: LMTotals, prices: Prices) -> float | None:
    """What the tokens cost; None without both prices."""
    if prices.prompt is None or prices.completion is None:
        return None
    return (
        tokens.prompt_tokens * prices.prompt + tokens.completion_tokens * prices.completion
    ) / 1e6


def _halved(vectors: FloatArray) -> FloatArray:
    """As the run reads them back from its float16 files, so that the clusters are the same."""
    return vectors.astype(np.float16).astype(np.float32)


def _seconds_per_group(
    written: str, groups: Sequence[GroupTexts], context: ProposerContext
) -> float:
    from descriptors.proposer_factory import create_proposer

    places = np.linspace(0, len(groups) - 1, min(_TIMED_GROUPS + 1, len(groups))).astype(np.int64)
    first, *others = (groups[place] for place in places)
    proposer = create_proposer(written, context)
    # The first group pays for what is loaded on first use.
    list(proposer.propose([first]))
    timed = others or [first]
    began = time.perf_counter()
    list(proposer.propose(timed))
    return (time.perf_counter() - began) / len(timed)
