import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors.segmentation import Segment, segment

TREEBANK = Path(__file__).parents[2] / ".." / "shared" / "data" / "ewt_pos.jsonl.gz"

CASES = {
    "plain": (
        "I like it. It works well! Does it last?",
        ["I like it.", "It works well!", "Does it last?"],
    ),
    "abbreviations": (
        "Dr. Smith paid $3.50 for it. It is 4.5 in. wide.",
        ["Dr. Smith paid $3.50 for it.", "It is 4.5 in. wide."],
    ),
    "no end": ("  just a phrase  ", ["just a phrase"]),
    "one sentence": ("It works.", ["It works."]),
    "missing space": ("It works.Great value, too.", ["It works.", "Great value, too."]),
    "names keep their dot": (
        "We use Node.js and ASP.Net here.",
        ["We use Node.js and ASP.Net here."],
    ),
    "blank line": ("A title\n\nA text\nover two lines", ["A title", "A text\nover two lines"]),
    "wide stops": ("これはペンです。それは本です。", ["これはペンです。", "それは本です。"]),
    "quotation": ('"Stop." She went on.', ['"Stop."', "She went on."]),
    "repeated marks": ("Loved it!!! Will buy again.", ["Loved it!!!", "Will buy again."]),
}


@pytest.mark.parametrize("case", CASES)
def test_sentences(case: str) -> None:
    text, expected = CASES[case]
    assert segment(text) == expected


@pytest.mark.parametrize("text", ["", "  ", "\n\n\t\u2003"])
@pytest.mark.parametrize("mode", Segment)
def test_blank_text_has_no_sentence(text: str, mode: Segment) -> None:
    assert segment(text, mode) == []


def test_whole_text() -> None:
    assert segment(" One. Two.\n\nThree. ", Segment.NONE) == ["One. Two.\n\nThree."]


@given(
    st.one_of(
        st.text(),
        st.text(alphabet=" .!?…\"'()[]\n\t。」aB1é-\u0085\u2028\x1c"),
        st.lists(
            st.sampled_from(["It works.", "Dr. ", "!!", "\n\n", "e.g. ", "A", " ", "." * 300])
        ).map("".join),
    )
)
def test_no_character_is_lost_or_moved(text: str) -> None:
    sentences = segment(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)
    position = 0
    for sentence in sentences:
        position = text.index(sentence, position) + len(sentence)


def test_long_sentence_stays_whole() -> None:
    text = "word " * 50_000 + "end."
    assert segment(text) == [text]


@pytest.mark.parametrize("unit", ["!", "?", '."', "."])
def test_run_of_marks_that_would_hang_nupunkt(unit: str) -> None:
    run = unit * (1_000_000 // len(unit))
    assert segment(f"It works{run} It lasts.") == [f"It works{run}", "It lasts."]


@pytest.mark.skipif(not TREEBANK.exists(), reason="shared development data is absent")
def test_boundaries_of_a_treebank_are_found() -> None:
    with gzip.open(TREEBANK, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"].strip() for line in lines]
    gold = [text for text in texts if text[-1] in ".!?"][:2000]
    hits = found = wanted = 0
    for start in range(0, len(gold), 5):
        group = gold[start : start + 5]
        expected = _ends(group)
        answered = _ends(segment(" ".join(group)))
        hits += len(expected & answered)
        found += len(answered)
        wanted += len(expected)
    assert hits / found > 0.97
    assert hits / wanted > 0.97


def _ends(sentences: list[str]) -> set[int]:
    ends, length = set(), 0
    for sentence in sentences[:-1]:
        length += len("".join(sentence.split()))
        ends.add(length)
    return ends
