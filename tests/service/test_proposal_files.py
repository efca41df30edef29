from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from descriptors.records import Group, Proposal
from indexer.errors import RunError
from service.proposal_files import read_groups, read_proposals, write_groups, write_proposals

GROUPS = [
    Group(id="clusters:8/1", source="embedding_clusters:8", rows=(4, 1, 9), contrast_rows=(2, 7)),
    Group(id="clusters:8/0", source="embedding_clusters:8", rows=(5,)),
    Group(id="é\u2028\n", source="user", rows=()),
]
PROPOSALS = [
    Proposal(text="battery life", proposer="keyphrase", group="clusters:8/1"),
    Proposal(text="電池 \r\n \u0085 \x1c 🔋", proposer="transformers:a/b", group="clusters:8/0"),
    Proposal(text="battery life", proposer="keyphrase", group="clusters:8/1"),
    Proposal(text="", proposer="", group=""),
]


def test_both_come_back_in_their_order(tmp_path: Path) -> None:
    groups, proposals = tmp_path / "proposals" / "groups.jsonl", tmp_path / "proposals.jsonl"
    write_groups(groups, GROUPS)
    write_proposals(proposals, iter(PROPOSALS))
    assert read_groups(groups) == GROUPS
    assert read_proposals(proposals) == PROPOSALS
    assert groups.read_bytes().count(b"\n") == len(GROUPS)
    assert [file.name for file in groups.parent.iterdir()] == [groups.name]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_any_text_survives(tmp_path: Path, texts: list[str]) -> None:
    proposals = [Proposal(text=text, proposer=text, group="g") for text in texts]
    write_proposals(tmp_path / "proposals.jsonl", proposals)
    assert read_proposals(tmp_path / "proposals.jsonl") == proposals


def test_none_at_all(tmp_path: Path) -> None:
    write_groups(tmp_path / "groups.jsonl", [])
    assert read_groups(tmp_path / "groups.jsonl") == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda whole: whole[:-10], "line 3 of"),
        (lambda whole: whole + b"\n", "line 4 of"),
        (lambda whole: whole.replace(b'"rows"', b'"lines"'), "line 1 of"),
        (lambda whole: whole.replace(b":[5]", b':["five"]'), "line 2 of"),
        (lambda whole: whole.replace("é".encode(), b"\xff"), "cannot read"),
    ],
    ids=["cut short", "blank line", "other field", "other type", "not UTF-8"],
)
def test_damaged_files_are_run_errors(
    tmp_path: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "groups.jsonl"
    write_groups(path, GROUPS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=rf"{said}.*groups\.jsonl.*Re-run"):
        read_groups(path)


def test_one_kind_is_not_read_as_the_other(tmp_path: Path) -> None:
    write_groups(tmp_path / "groups.jsonl", GROUPS)
    with pytest.raises(RunError, match=r"line 1 of .*groups\.jsonl is no proposal"):
        read_proposals(tmp_path / "groups.jsonl")


def test_missing_files_are_run_errors(tmp_path: Path) -> None:
    for read in (read_groups, read_proposals):
        with pytest.raises(RunError, match="cannot read"):
            read(tmp_path / "nothing.jsonl")
