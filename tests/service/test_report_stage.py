"""What the report is told about a run besides its results."""

from pathlib import Path

import pytest

from service.report_stage import _corpus_name, _model_name, _notes


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("sample", "sample reviews"),
        ("/data/mine/news.csv", "news.csv"),
        ("hf:user/news", "hf:user/news"),
    ],
)
def test_corpus_is_named_without_its_folders(setting: str, name: str) -> None:
    assert _corpus_name(setting) == name


def test_model_is_named_without_its_folders(tmp_path: Path) -> None:
    folder = tmp_path / "my-bert"
    folder.mkdir()
    assert _model_name(str(folder)) == "my-bert"
    assert _model_name("org/bert") == "org/bert"
    assert _model_name("bundled") == "all-MiniLM-L6-v2"


def test_notes_count_what_a_reader_should_know() -> None:
    results = {
        "corpus": {"sentences": 2000, "blank_skipped": 3, "duplicate_sentences": 0},
        "embed": {"truncated_sentences": 0},
        "extract": {
            "truncated_sentences": 1200,
            "sentences_without_content_tokens": 0,
            "clipped_values": 0,
        },
        "propose": {"clustered_sentences": 1200, "ungrouped_sentences": 150},
        "catalog": {"sentences_with_a_descriptor": 1500, "kept": 40},
        "match": {"usable_descriptors": 38},
    }
    assert _notes(results) == [
        "1,500 of 2,000 sentences belong to a descriptor.",
        "150 of 1,200 sentences that groups were formed of are in none.",
        "38 of 40 descriptors have enough sentences in every split to be matched.",
        "3 blank texts were skipped.",
        "1,200 sentences were longer than the model reads.",
    ]
