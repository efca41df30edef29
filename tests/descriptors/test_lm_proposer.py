from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import descriptors.prompts
from descriptors.generation import (
    Answer,
    ChatRequest,
    FailureReason,
    FinishReason,
    RequestFailure,
    SamplingSettings,
)
from descriptors.lm_proposer import GenerationUsage, LMProposer
from descriptors.prompts import PromptSettings, PromptStyle
from descriptors.proposer import GroupTexts, ProposalBatch, Proposer, RejectionCount
from descriptors.records import Group
from descriptors.response_store import ResponseStore
from indexer.errors import BackendError

Reaction = str | Answer | RequestFailure | BackendError


class ScriptedGenerator:
    """Reacts to each request as a function of its text says, last request first."""

    name = "fake:model"

    def __init__(self, react: Callable[[str], Reaction], fingerprint: str = "fake-1") -> None:
        self._react = react
        self.fingerprint = fingerprint
        self.calls: list[list[ChatRequest]] = []

    @property
    def n_sent(self) -> int:
        return sum(map(len, self.calls))

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        self.calls.append(list(requests))
        for position in reversed(range(len(requests))):
            reaction = self._react(last_turns(requests[position]))
            if isinstance(reaction, BackendError):
                raise reaction
            if isinstance(reaction, str):
                reaction = answer(reaction)
            yield position, reaction

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        return [10] * len(requests)


def answer(text: str, finish: FinishReason = FinishReason.STOP) -> Answer:
    return Answer(text=text, finish=finish, prompt_tokens=10, completion_tokens=3)


def last_turns(request: ChatRequest) -> str:
    """What a request says beyond the opening that all requests share."""
    shared = 3 if len(request.messages) > 3 else 1
    return "\n".join(message.content for message in request.messages[shared:])


def names(*phrases: str) -> str:
    return json.dumps({"descriptors": phrases}, ensure_ascii=False)


def group(identity: str, *texts: str, contrast: Sequence[str] = ()) -> GroupTexts:
    return GroupTexts(
        Group(id=identity, source="test", rows=tuple(range(len(texts)))), texts, tuple(contrast)
    )


CARDS = group("cards", "Where is my card?", "No card yet", contrast=["A fee?"])
FEES = group("fees", "Why this fee?", contrast=["Where is my card?"])
REFUNDS = group("refunds", "I want my money back", "Refund please")
GROUPS = (CARDS, FEES, REFUNDS)
NAMES = {
    '"Where is my card?",': names("card delivery", "late cards"),
    '"Why this fee?"': names("fees"),
    '"I want my money back"': names("refund requests"),
}


def sensible(turns: str) -> str:
    return next(reply for text, reply in NAMES.items() if text in turns)


def is_retry(turns: str) -> bool:
    return "That answer cannot be used" in turns


def propose(
    react: Callable[[str], Reaction],
    groups: Sequence[GroupTexts] = GROUPS,
    store: ResponseStore | None = None,
) -> tuple[list[ProposalBatch], GenerationUsage]:
    proposer = LMProposer(ScriptedGenerator(react), store=store)
    return list(proposer.propose(groups)), proposer.usage


def phrases(batch: ProposalBatch) -> list[str]:
    return [proposal.text for proposal in batch.proposals]


def test_groups_are_named_in_order_whatever_the_order_of_the_answers() -> None:
    generator = ScriptedGenerator(sensible)
    proposer: Proposer = LMProposer(generator)
    batches = list(proposer.propose(GROUPS))
    assert [(batch.group, phrases(batch)) for batch in batches] == [
        ("cards", ["card delivery", "late cards"]),
        ("fees", ["fees"]),
        ("refunds", ["refund requests"]),
    ]
    assert all(batch.rejected == () for batch in batches)
    assert {p.proposer for batch in batches for p in batch.proposals} == {"fake:model"}
    assert [len(requests) for requests in generator.calls] == [3]


def test_no_groups_ask_nothing() -> None:
    generator = ScriptedGenerator(sensible)
    proposer = LMProposer(generator)
    assert list(proposer.propose([])) == []
    assert generator.calls == []
    assert proposer.usage == GenerationUsage()
    assert proposer.plan_requests([]) == []


def test_a_group_without_text_says_so_and_costs_nothing() -> None:
    batches, usage = propose(sensible, [group("empty"), FEES, group("blank", " ", "")])
    assert [phrases(batch) for batch in batches] == [[], ["fees"], []]
    assert batches[0].rejected == batches[2].rejected == (RejectionCount("no_text", 1),)
    assert usage.requests == 1


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (answer("", FinishReason.REFUSED), "refusal"),
        (answer("I'm sorry, but I can't."), "refusal"),
        (answer(""), "empty_answer"),
        (answer('{"descriptors": ["fe', FinishReason.LENGTH), "truncated"),
        (answer("fees"), "not_json"),
        (answer('["fees"]'), "schema_mismatch"),
        (answer(names("of the")), "only_stop_words"),
        (answer(names("комиссия")), "off_language"),
        (answer(names("tending the lighthouse lamp")), "prompt_echo"),
        (answer(names("why this very fee and not another")), "too_long"),
    ],
)
def test_an_answer_without_a_phrase_is_asked_for_once_more(first: Answer, reason: str) -> None:
    batches, usage = propose(lambda turns: names("fees") if is_retry(turns) else first, [FEES])
    assert phrases(batches[0]) == ["fees"]
    assert batches[0].rejected == ()
    assert (usage.requests, usage.retried) == (2, 1)
    assert usage.retried_for == (RejectionCount(reason, 1),)
    assert (usage.prompt_tokens, usage.completion_tokens) == (20, 6)

    generator = ScriptedGenerator(lambda turns: first)
    proposer = LMProposer(generator)
    (batch,) = proposer.propose([FEES])
    assert batch.proposals == ()
    assert batch.rejected == (RejectionCount(reason, 1),)
    assert [len(requests) for requests in generator.calls] == [1, 1]
    assert generator.calls[1][0].messages[:-2] == generator.calls[0][0].messages


def test_all_that_needs_a_second_answer_is_asked_for_in_one_call() -> None:
    generator = ScriptedGenerator(lambda turns: "" if "No card" in turns else sensible(turns))
    batches = list(LMProposer(generator).propose([*GROUPS, group("more", "No cards")]))
    assert [bool(batch.proposals) for batch in batches] == [False, True, True, False]
    assert [len(requests) for requests in generator.calls] == [4, 2]


def test_a_good_phrase_beside_bad_ones_is_enough() -> None:
    generator = ScriptedGenerator(lambda turns: names("fees", "Fees", "of", "账单"))
    (batch,) = LMProposer(generator).propose([FEES])
    assert phrases(batch) == ["fees"]
    assert {count.reason: count.count for count in batch.rejected} == {
        "duplicate": 1,
        "only_stop_words": 1,
        "off_language": 1,
    }
    assert len(generator.calls) == 1


def test_requests_without_an_answer_are_counted_and_not_stored(tmp_path: Path) -> None:
    def overflowing(turns: str) -> Reaction:
        if '"Why this fee?"' in turns:
            return RequestFailure(reason=FailureReason.CONTEXT_OVERFLOW, message="too long")
        return sensible(turns)

    batches, usage = propose(overflowing, store=ResponseStore(tmp_path))
    assert [len(batch.proposals) for batch in batches] == [2, 0, 1]
    assert batches[1].rejected == (RejectionCount("context_overflow", 1),)
    assert usage.failures == (RejectionCount("context_overflow", 1),)
    assert (usage.requests, usage.retried, usage.prompt_tokens) == (3, 0, 20)
    later, usage = propose(sensible, store=ResponseStore(tmp_path))
    assert phrases(later[1]) == ["fees"]
    assert (usage.requests, usage.prompt_tokens, usage.failures) == (3, 30, ())


def test_a_second_attempt_without_an_answer_says_why() -> None:
    failure = RequestFailure(reason=FailureReason.SERVER_FAILED, message="500")
    batches, usage = propose(lambda turns: failure if is_retry(turns) else "", [FEES])
    assert batches[0].rejected == (RejectionCount("server_failed", 1),)
    assert usage.retried_for == (RejectionCount("empty_answer", 1),)


def test_a_second_run_sends_nothing_and_answers_alike(tmp_path: Path) -> None:
    def first_fails(turns: str) -> Reaction:
        return sensible(turns) if is_retry(turns) or "card" not in turns else "no"

    first, used = propose(first_fails, store=ResponseStore(tmp_path))
    generator = ScriptedGenerator(lambda turns: pytest.fail("sent"))
    proposer = LMProposer(generator, store=ResponseStore(tmp_path))
    assert proposer.plan_requests(GROUPS) == []
    assert list(proposer.propose(GROUPS)) == first
    assert generator.calls == []
    assert proposer.usage == used


@pytest.mark.parametrize("when", ["first", "retry"])
def test_a_back_end_that_fails_midway_keeps_what_was_paid_and_counts_alike(
    tmp_path: Path, when: str
) -> None:
    overflow = RequestFailure(reason=FailureReason.CONTEXT_OVERFLOW, message="too long")

    def working(turns: str) -> Reaction:
        if 'Where is my card?",' in turns and not is_retry(turns):
            return "no"
        return overflow if "long" in turns else sensible(turns)

    def failing(turns: str) -> Reaction:
        if 'Where is my card?",' in turns and is_retry(turns) == (when == "retry"):
            return BackendError("the server is gone")
        return working(turns)

    groups = [*GROUPS, group("long", "A long sentence")]
    proposer = LMProposer(ScriptedGenerator(failing), store=ResponseStore(tmp_path / "died"))
    with pytest.raises(BackendError, match="gone"):
        list(proposer.propose(groups))
    paid = 2 if when == "first" else 3
    assert proposer.usage.prompt_tokens == 10 * paid
    again = ScriptedGenerator(working)
    resumed = LMProposer(again, store=ResponseStore(tmp_path / "died"))
    batches, usage = propose(working, groups, ResponseStore(tmp_path / "lived"))
    assert list(resumed.propose(groups)) == batches
    assert resumed.usage == usage
    assert (usage.requests, usage.prompt_tokens, usage.retried) == (5, 40, 1)
    assert usage.failures == (RejectionCount("context_overflow", 1),)
    assert again.n_sent == 5 - paid


def test_equal_requests_are_sent_once() -> None:
    twin = GroupTexts(CARDS.group.model_copy(update={"id": "twin"}), CARDS.texts, ("A fee?",))
    generator = ScriptedGenerator(sensible)
    proposer = LMProposer(generator)
    first, second = proposer.propose([CARDS, twin])
    assert phrases(first) == phrases(second) == ["card delivery", "late cards"]
    assert generator.n_sent == 1
    assert {proposal.group for proposal in second.proposals} == {"twin"}


def test_the_plan_is_what_is_sent(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path)
    generator = ScriptedGenerator(sensible)
    proposer = LMProposer(generator, store=store)
    list(LMProposer(generator, store=store).propose([FEES]))
    planned = proposer.plan_requests([*GROUPS, CARDS])
    generator.calls.clear()
    list(proposer.propose([*GROUPS, CARDS]))
    assert generator.calls == [planned]
    assert len(planned) == 2


def test_usage_is_that_of_the_last_run() -> None:
    proposer = LMProposer(ScriptedGenerator(sensible))
    list(proposer.propose(GROUPS))
    list(proposer.propose([FEES]))
    assert (proposer.usage.requests, proposer.usage.prompt_tokens) == (1, 10)


def test_shortened_sentences_are_counted() -> None:
    _, usage = propose(lambda turns: names("long"), [group("g", "long " * 100, "short")])
    assert usage.shortened_sentences == 1


def test_the_papers_way_unites_the_answers_of_single_sentences() -> None:
    replies = {
        '"sentence": "Where is my card?"': names("card delivery", "new cards"),
        '"sentence": "No card yet"': names("New cards", "of the"),
        '"sentence": "Why this fee?"': names("fees"),
    }
    generator = ScriptedGenerator(lambda turns: next(r for t, r in replies.items() if t in turns))
    proposer = LMProposer(generator, PromptSettings(style=PromptStyle.PAPER))
    cards, fees = proposer.propose([CARDS, FEES])
    assert phrases(cards) == ["new cards", "card delivery"]
    assert cards.rejected == (RejectionCount("only_stop_words", 1),)
    assert phrases(fees) == ["fees"]
    assert generator.n_sent == 3


def test_fingerprint_follows_all_that_shapes_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = ScriptedGenerator(sensible)
    same = LMProposer(generator).fingerprint
    assert LMProposer(generator, PromptSettings(), SamplingSettings()).fingerprint == same
    others = [
        LMProposer(ScriptedGenerator(sensible, "fake-2")),
        LMProposer(generator, PromptSettings(focus="tone")),
        LMProposer(generator, PromptSettings(n_sentences=5)),
        LMProposer(generator, PromptSettings(style=PromptStyle.PAPER)),
        LMProposer(generator, sampling=SamplingSettings(seed=1)),
    ]
    found = {same, *(other.fingerprint for other in others)}
    for constant in ("GROUP_TASK", "REMINDER", "RETRY"):
        with monkeypatch.context() as patch:
            patch.setattr(descriptors.prompts, constant, "Other words")
            found.add(LMProposer(generator).fingerprint)
    assert len(found) == 1 + len(others) + 3


@given(
    st.lists(st.lists(st.text(max_size=20), max_size=3), max_size=4),
    st.lists(st.text(max_size=30), min_size=1, max_size=3),
    st.sampled_from(PromptStyle),
)
@settings(max_examples=60, deadline=None)
def test_every_group_has_one_batch_with_phrases_or_reasons(
    texts: list[list[str]], said: list[str], style: PromptStyle
) -> None:
    groups = [group(str(number), *own) for number, own in enumerate(texts)]
    generator = ScriptedGenerator(lambda turns: names(*said))
    batches = list(LMProposer(generator, PromptSettings(style=style)).propose(groups))
    assert [batch.group for batch in batches] == [own.group.id for own in groups]
    assert all(batch.proposals or batch.rejected for batch in batches)
