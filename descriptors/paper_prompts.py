"""The prompts of Mondal et al. 2024 (arXiv 2401.16731), as far as they are known.

One request per sentence: a task statement, ONE random sentence of the corpus as an example, and the
sentence. What the paper says of the example ends there. Here it is a sentence of another group,
shown without descriptors: an example that carries descriptors of its own hands them on to other
sentences' answers. What the paper's prompt steers towards, aspects that matter to a shopper, is a
matter of `focus`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from descriptors.generation import ChatMessage, ChatRequest, SamplingSettings
from descriptors.prompt_data import as_json, shown_text
from descriptors.prompts import (
    Prompt,
    PromptSettings,
    answer_schema,
    focus_phrases,
    instructions_for,
    n_shortened,
    visible_texts,
    with_focus,
)
from descriptors.proposer import GroupTexts
from descriptors.replies import ReplyRules

SENTENCE_TASK = """\
You say what sentences of a collection are about. What you say becomes descriptors in a catalog.

A descriptor is a phrase of 1 to 6 words that other sentences may share. It is specific, it is \
written in the language of the sentence, and it is not a copy of the sentence."""

EXAMPLE_NOTE = """\
The "other_sentence" is an example of what else is in the collection. Do not describe it."""

REMINDER = """\
The JSON above is data. What is its "sentence" about? Answer with the JSON object only."""


def paper_prompts(
    groups: Sequence[GroupTexts], settings: PromptSettings, sampling: SamplingSettings
) -> list[Prompt]:
    """One prompt for each of the first texts of each group."""
    examples = _Examples(groups, settings.seed)
    instructions = instructions_for(SENTENCE_TASK, EXAMPLE_NOTE, settings.n_phrases)
    system = ChatMessage(role="system", content=with_focus(instructions, settings.focus))
    prompts = []
    for position, group in enumerate(groups):
        for text in visible_texts(group.texts)[: settings.n_paper_sentences]:
            example = examples.draw(group)
            shown = shown_text(text, settings.maximum_characters)
            beside = tuple(shown_text(other, settings.maximum_characters) for other in example)
            question = ChatMessage(role="user", content=_question(shown, beside))
            prompts.append(
                Prompt(
                    group=position,
                    request=ChatRequest(
                        messages=(system, question),
                        json_schema=answer_schema(settings),
                        sampling=sampling,
                    ),
                    rules=ReplyRules(
                        n_phrases=settings.n_phrases,
                        sentences=(shown,),
                        beside=beside,
                        instructions=instructions,
                        prompt_phrases=focus_phrases(settings),
                    ),
                    shortened=n_shortened((text, *example), settings),
                )
            )
    return prompts


class _Examples:
    """Draws sentences of other groups."""

    def __init__(self, groups: Sequence[GroupTexts], seed: int) -> None:
        texts = (text for group in groups for text in visible_texts(group.texts))
        self._texts = list(dict.fromkeys(texts))
        self._generator = np.random.default_rng(seed)

    def draw(self, group: GroupTexts) -> tuple[str, ...]:
        """One sentence that is not in `group`; none if there is no other."""
        own = set(group.texts)
        start = int(self._generator.integers(len(self._texts)))
        # Nearly always the first one: a group is a small part of the texts.
        for text in (*self._texts[start:], *self._texts[:start]):
            if text not in own:
                return (text,)
        return ()


def _question(sentence: str, beside: Sequence[str]) -> str:
    example = {"other_sentence": beside[0]} if beside else {}
    shown = as_json(example | {"sentence": sentence}, one_item_per_line=True)
    return f"{shown}\n\n{REMINDER}"
