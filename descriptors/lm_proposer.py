"""The proposer that asks a generative LM, whichever back end runs it.

All prompts go to the back end in one call, so that it can batch them; answers without one usable
phrase are asked for once more in a second call. Batches come after that, since any group may wait
for its second answer. What is paid for is in the store the moment it comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from descriptors.answering import AnswerSource, counts
from descriptors.generation import (
    Answer,
    ChatRequest,
    FinishReason,
    RequestFailure,
    SamplingSettings,
    TextGenerator,
)
from descriptors.paper_prompts import paper_prompts
from descriptors.prompts import (
    Prompt,
    PromptSettings,
    PromptStyle,
    group_prompts,
    retry_request,
)
from descriptors.proposer import GroupTexts, ProposalBatch, RejectionCount
from descriptors.records import Group, Proposal
from descriptors.replies import Reply, ReplyProblem, read_reply
from descriptors.response_store import ResponseStore, response_key
from indexer.records import Record
from indexer.storage import fingerprint

VERSION = 1
NO_TEXT = "no_text"
"""Why a group without a text gets no phrase."""


class GenerationUsage(Record):
    """What the answers of an LM took, in whichever of a resumed run's processes they were sent for.

    `requests` counts different requests, second attempts included. Tokens are those of all answers.
    `retried` counts second attempts, `retried_for` what was wrong with the first ones, `failures`
    requests without an answer.
    """

    requests: int = Field(default=0, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    retried: int = Field(default=0, ge=0)
    retried_for: tuple[RejectionCount, ...] = ()
    failures: tuple[RejectionCount, ...] = ()
    shortened_sentences: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Standing:
    """A request with the answer that the store holds, if any; `second` tells second attempts."""

    request: ChatRequest
    answer: Answer | None
    second: bool


class LMProposer:
    """Proposes what an LM says that a group's sentences share."""

    def __init__(
        self,
        generator: TextGenerator,
        settings: PromptSettings | None = None,
        sampling: SamplingSettings | None = None,
        store: ResponseStore | None = None,
    ) -> None:
        self._generator = generator
        self._settings = settings or PromptSettings()
        self._sampling = sampling or SamplingSettings()
        self._store = store
        self._start()

    @property
    def name(self) -> str:
        """The back end and model as the user writes them."""
        return self._generator.name

    @property
    def fingerprint(self) -> str:
        """Name, LM, prompt texts, settings and sampling: all that the answer depends on."""
        prompt = self._prompts(_ANY_GROUPS)[0]
        retry = retry_request(prompt.request, _ANY_ANSWER, [ReplyProblem("", "")])
        return fingerprint(
            [
                *("lm", VERSION, self.name, self._generator.fingerprint),
                self._settings.model_dump(mode="json"),
                retry.model_dump(mode="json"),
            ]
        )

    @property
    def usage(self) -> GenerationUsage:
        """What the last `propose` took so far; it counts on while batches are awaited."""
        return GenerationUsage(
            requests=self._source.requests,
            prompt_tokens=self._source.prompt_tokens,
            completion_tokens=self._source.completion_tokens,
            retried=self._retried,
            retried_for=counts(self._retried_for),
            failures=counts(self._source.failures),
            shortened_sentences=self._shortened,
        )

    @property
    def sent(self) -> int:
        """The requests of the last `propose` or `try_out` that the store did not answer."""
        return self._source.sent

    def plan_requests(self, groups: Sequence[GroupTexts]) -> list[ChatRequest]:
        """The requests that `propose` would send first: each once, none that the store answers.

        Raises:
            RunError: the store cannot be read.
        """
        source = AnswerSource(self._generator, self._store)
        return source.missing([prompt.request for prompt in self._prompts(groups)])

    def standings(self, groups: Sequence[GroupTexts]) -> list[Standing]:
        """Every different request that `propose` would make, as far as stored answers tell.

        Second attempts are known where the store holds the first answer.

        Raises:
            RunError: the store cannot be read.
        """
        source = AnswerSource(self._generator, self._store)
        known = self._generator.fingerprint
        prompts = {response_key(known, each.request): each for each in self._prompts(groups)}
        first, second = [], []
        for prompt in prompts.values():
            answer = source.stored(prompt.request)
            first.append(Standing(prompt.request, answer, second=False))
            reply = answer and _read(answer, prompt)
            if answer and reply and not reply.phrases:
                retry = retry_request(prompt.request, answer, reply.problems)
                second.append(Standing(retry, source.stored(retry), second=True))
        return first + second

    def try_out(
        self, groups: Sequence[GroupTexts], places: Collection[int], *, progress: bool = False
    ) -> GenerationUsage:
        """Ask about the groups at `places` what `propose` would ask about them among all groups.

        Raises:
            BackendError: the LM cannot be used, or a budget is spent; answers until then are in
                the store.
            RunError: the store cannot be read or written.
        """
        self._start()
        prompts = [prompt for prompt in self._prompts(groups) if prompt.group in places]
        self._shortened = sum(prompt.shortened for prompt in prompts)
        self._replies(prompts, progress)
        return self.usage

    def propose(
        self, groups: Sequence[GroupTexts], *, progress: bool = False
    ) -> Iterator[ProposalBatch]:
        """Yield one batch per group, in the order of `groups`, after all requests are answered.

        A batch without proposals says why. Reasons are counted as they stand in the end: what was
        wrong with answers that were asked for again is in `usage`.

        Raises:
            BackendError: the LM cannot be used, or a budget is spent; answers until then are in
                the store.
            RunError: the store cannot be read or written.
        """
        self._start()
        prompts = self._prompts(groups)
        self._shortened = sum(prompt.shortened for prompt in prompts)
        replies = self._replies(prompts, progress)
        by_group: list[list[Reply]] = [[] for _ in groups]
        for prompt, reply in zip(prompts, replies, strict=True):
            by_group[prompt.group].append(reply)
        for group, own in zip(groups, by_group, strict=True):
            yield self._batch(group.group.id, own)

    def close(self) -> None:
        """Let go of what the LM holds (memory, processes); the proposer may be used again."""
        self._generator.close()

    def _start(self) -> None:
        self._source = AnswerSource(self._generator, self._store)
        self._retried = 0
        self._retried_for: Counter[str] = Counter()
        self._shortened = 0

    def _prompts(self, groups: Sequence[GroupTexts]) -> list[Prompt]:
        render = paper_prompts if self._settings.style is PromptStyle.PAPER else group_prompts
        return render(groups, self._settings, self._sampling)

    def _replies(self, prompts: Sequence[Prompt], progress: bool) -> list[Reply]:
        """What each prompt brought, at the second attempt where the first brought no phrase."""
        answers = self._source.ask([prompt.request for prompt in prompts], progress=progress)
        replies = [_read(answer, prompt) for answer, prompt in zip(answers, prompts, strict=True)]
        retries = {
            position: retry_request(prompts[position].request, answer, replies[position].problems)
            for position, answer in enumerate(answers)
            if isinstance(answer, Answer) and not replies[position].phrases
        }
        self._retried = len(retries)
        for position in retries:
            self._retried_for.update(problem.reason for problem in replies[position].problems)
        second = self._source.ask(list(retries.values()), progress=progress)
        for position, answer in zip(retries, second, strict=True):
            replies[position] = _read(answer, prompts[position])
        return replies

    def _batch(self, group: str, replies: Sequence[Reply]) -> ProposalBatch:
        """The union of a group's replies, phrases said more often first."""
        shown: dict[str, str] = {}
        for phrase in (phrase for reply in replies for phrase in reply.phrases):
            shown.setdefault(phrase.casefold(), phrase)
        said = Counter(phrase.casefold() for reply in replies for phrase in reply.phrases)
        rejected = Counter(problem.reason for reply in replies for problem in reply.problems)
        if not replies:
            rejected[NO_TEXT] += 1
        return ProposalBatch(
            group,
            tuple(
                Proposal(text=shown[folded], proposer=self.name, group=group)
                # Among phrases said equally often the order is that of the answers.
                for folded, _ in said.most_common()
            ),
            counts(rejected),
        )


_ANY_GROUPS = tuple(
    GroupTexts(Group(id=text, source="fingerprint", rows=(0,)), (text,), ("c",)) for text in "ab"
)
"""Stand-ins whose prompts show what any group's prompts look like."""
_ANY_ANSWER = Answer(text="", finish=FinishReason.STOP, prompt_tokens=0, completion_tokens=0)


def _read(answer: Answer | RequestFailure, prompt: Prompt) -> Reply:
    if isinstance(answer, RequestFailure):
        return Reply((), (ReplyProblem(answer.reason, answer.message),))
    return read_reply(answer, prompt.rules)
