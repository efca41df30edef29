"""Some groups asked about before the others, at a real server on loopback."""

from pathlib import Path

import pytest

from descriptors.generation import FinishReason
from descriptors.lm_proposer import LMProposer
from descriptors.openai_backend import OpenAIGenerator, OpenAISettings
from descriptors.prompts import PromptSettings, PromptStyle
from descriptors.proposer import GroupTexts
from descriptors.records import Group
from descriptors.response_store import ResponseStore
from tests.descriptors.lm_fixtures import MODEL, Asked, ChatServer, Reply, chat_server, completion

pytest.importorskip("openai")

GROUPS = tuple(
    GroupTexts(
        Group(id=str(n), source="test", rows=(2 * n, 2 * n + 1)),
        (f"the phone number {n} came late", f"again number {n} came late"),
    )
    for n in range(9)
)


def proposer_at(
    server: ChatServer, store: Path, style: PromptStyle = PromptStyle.GROUP
) -> LMProposer:
    generator = OpenAIGenerator(MODEL, OpenAISettings(base_url=server.base_url))
    settings = PromptSettings(style=style)
    return LMProposer(generator, settings, store=ResponseStore(store))


@pytest.mark.parametrize(("style", "each"), [(PromptStyle.GROUP, 1), (PromptStyle.PAPER, 2)])
def test_what_was_tried_out_is_not_asked_again(
    style: PromptStyle, each: int, tmp_path: Path
) -> None:
    with chat_server() as server:
        proposer = proposer_at(server, tmp_path, style)
        usage = proposer.try_out(GROUPS, (0, 4, 8))
        assert usage.requests == proposer.sent == len(server.asked) == 3 * each
        tried = list(server.asked)
        list(proposer.propose(GROUPS))
        assert proposer.sent == len(server.asked) - len(tried) == 6 * each
        whole = proposer.usage
    with chat_server() as server:
        # A run that no pilot went before sends the very same requests.
        unaided = proposer_at(server, tmp_path / "other", style)
        list(unaided.propose(GROUPS))
        assert {asked.text for asked in tried} <= {asked.text for asked in server.asked}
        assert unaided.usage == whole


def test_standings_know_second_attempts_of_bad_first_answers(tmp_path: Path) -> None:
    def answer_badly(asked: Asked) -> Reply:
        first = "cannot be used" not in asked.text
        bad = completion("I am not sure.")
        return Reply(body=bad if first and "number 4" in asked.text else completion())

    with chat_server(answer_badly) as server:
        proposer = proposer_at(server, tmp_path)
        assert [each.second for each in proposer.standings(GROUPS)] == [False] * len(GROUPS)
        proposer.try_out(GROUPS, (0, 4))
        assert len(server.asked) == 3
        known = proposer.standings(GROUPS)
        assert [each.second for each in known] == [False] * len(GROUPS) + [True]
        answered = [place for place, each in enumerate(known) if each.answer]
        assert answered == [0, 4, len(GROUPS)]
        assert known[-1].answer is not None
        assert known[-1].answer.finish is FinishReason.STOP
        assert [each.request for each in known if not each.answer] == proposer.plan_requests(GROUPS)
        assert len(server.asked) == 3
