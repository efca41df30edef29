"""What a benchmark is told: names, files, options, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from descriptors.segmentation import Segment
from eval.evaluation_settings import ProtocolName
from eval.matchers import MATCHER_NAMES
from indexer.errors import InputError
from neurons.records import Site
from service.benchmark_commands import _command, _suite
from service.benchmark_settings import (
    BenchmarkCorpus,
    BenchmarkSuite,
    checked_suite,
    file_name,
    read_suite,
    shown,
    united,
)

ROOT = Path(__file__).parents[2]


def suite(**changes: Any) -> BenchmarkSuite:
    told: dict[str, Any] = {"corpora": [{"name": "reviews", "source": "sample"}]}
    return checked_suite(told | changes, "suite")


def asked(path: Path | None, corpora: list[str], **options: Any) -> BenchmarkSuite:
    limit, device = options.pop("limit", None), options.pop("device", None)
    return _suite(path, corpora, options, limit, device)


@pytest.mark.parametrize(
    ("text", "name", "source"),
    [
        ("sample", "sample", "sample"),
        ("/data/clinc150.jsonl.gz", "clinc150", "/data/clinc150.jsonl.gz"),
        ("mine=/data/clinc150.jsonl.gz", "mine", "/data/clinc150.jsonl.gz"),
        ("hf:stanfordnlp/imdb", "imdb", "hf:stanfordnlp/imdb"),
        ("my reviews (2).csv", "my-reviews-2", "my reviews (2).csv"),
        ("a=b=c.csv", "a", "b=c.csv"),
        ("v1.5.jsonl", "v1.5", "v1.5.jsonl"),
    ],
)
def test_corpora_of_the_command_line(text: str, name: str, source: str) -> None:
    corpus = BenchmarkCorpus.parse(text)
    assert (corpus.name, corpus.source) == (name, source)


@pytest.mark.parametrize("text", ["", "…", "///"])
def test_a_corpus_without_a_name(text: str) -> None:
    with pytest.raises(InputError, match="has no name; expected NAME=PATH"):
        BenchmarkCorpus.parse(text)


@pytest.mark.parametrize(
    ("written", "proposers"),
    [
        ("keyphrase", ("keyphrase",)),
        ("embedded+keyphrase", ("embedded", "keyphrase")),
        ("transformers:org/name+5b+keyphrase", ("transformers:org/name+5b", "keyphrase")),
        ("openai:a+vllm:b+embedded", ("openai:a", "vllm:b", "embedded")),
        ("transformers:keyphrase+more", ("transformers:keyphrase+more",)),
    ],
)
def test_united_proposers(written: str, proposers: tuple[str, ...]) -> None:
    assert united(written) == proposers


def test_a_run_is_told_what_the_suite_says() -> None:
    told = suite(
        protocols=["stability"],
        sites=["hidden"],
        seed=7,
        run={
            "matching": {"minimum_auroc": 0.6},
            "evaluation": {"planted": {"units": 50}},
            "reading": {"encoding": "latin-1"},
        },
        taus=[0.7, 0.9],
        ks=[3],
        corpora=[
            {
                "name": "reviews",
                "source": "sample",
                "limit": 50,
                "segment": "none",
                "protocols": ["cosy"],
            }
        ],
    )
    settings = told.run_settings(told.corpora[0], "bundled", "embedded+keyphrase")
    assert settings.proposers == ("embedded", "keyphrase")
    assert settings.extraction.sites == (Site.HIDDEN,)
    assert (settings.seed, settings.reading.seed, settings.reading.limit) == (7, 7, 50)
    assert settings.reading.segment is Segment.NONE
    assert settings.matching.minimum_auroc == 0.6
    assert settings.reading.encoding == "latin-1"
    assert settings.evaluation.planted.units == 50
    # What the table needs, besides what a run tells anyhow.
    assert settings.evaluation.label_recovery.taus == (0.7, 0.8, 0.9, 0.95)
    assert settings.evaluation.label_recovery.ks == (1, 2, 3, 5)
    assert settings.evaluation.protocols == (
        ProtocolName.LABEL_RECOVERY,
        ProtocolName.STABILITY,
        ProtocolName.COSY,
    )


def test_further_settings_do_not_replace_those_of_the_suite() -> None:
    for further, place in (
        ({"seed": 3}, "run.seed"),
        ({"reading": {"limit": 3}}, "run.reading.limit"),
        ({"evaluation": {"protocols": []}}, "run.evaluation.protocols"),
        ({"reading": 3}, "run.reading"),
    ):
        told = suite(run=further)
        with pytest.raises(InputError, match=f"{place} follows from the suite's own fields"):
            told.run_settings(told.corpora[0], "bundled", "keyphrase")


def test_an_impossible_setting_of_a_run() -> None:
    told = suite(run={"matching": {"minimum_auroc": 3}})
    with pytest.raises(InputError, match="minimum-auroc"):
        told.run_settings(told.corpora[0], "bundled", "keyphrase")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"corpora": []}, "corpora"),
        ({"corpora": [{"name": "a", "source": "x"}] * 2}, "corpora of the same name: a"),
        ({"corpora": [{"name": "a/b", "source": "x"}]}, "corpora.0.name"),
        ({"matchers": ["ours", "mine"]}, "unknown: mine; expected some of ours, exemplar_counts"),
        ({"matchers": ["ours", "ours"]}, "expected all different"),
        ({"protocols": ["nothing"]}, "protocols.0"),
        ({"models": ["/a/model", "/b/model"]}, "several are called model without their folders"),
        ({"sites": []}, "sites"),
        ({"colour": "red"}, "colour"),
        ({"rivals": {"n_exemplars": 0}}, "rivals.n_exemplars"),
    ],
)
def test_what_is_no_suite(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        suite(**changes)


def test_paths_of_a_suite_are_relative_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    corpora = [
        {"name": "a", "source": "data/a.csv"},
        {"name": "b", "source": "/data/b.csv"},
        {"name": "c", "source": "sample"},
        {"name": "d", "source": "hf:org/d"},
    ]
    path.write_text(json.dumps({"corpora": corpora}), encoding="utf-8")
    sources = [corpus.source for corpus in read_suite(path).corpora]
    assert sources == [str(tmp_path / "data/a.csv"), "/data/b.csv", "sample", "hf:org/d"]


def test_suites_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_suite(tmp_path / "none.json")
    path = tmp_path / "suite.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"suite\.json is not JSON"):
        read_suite(path)


def test_the_committed_suite_covers_the_sets_of_the_goal() -> None:
    committed = read_suite(ROOT / "benchmarks" / "suite.json")
    assert [corpus.name for corpus in committed.corpora if corpus.averaged] == [
        *("clinc150", "banking77", "device_reviews", "dbpedia70"),
        *("goemotions", "news_topics41", "tech_questions20"),
    ]
    assert [corpus.name for corpus in committed.corpora if not corpus.averaged] == ["dbpedia14"]
    assert committed.matchers == MATCHER_NAMES
    for corpus in committed.corpora:
        assert Path(corpus.source).parent.resolve() == (ROOT.parent / "shared" / "data").resolve()
        committed.run_settings(corpus, "bundled", committed.proposers[0])


def test_options_replace_what_a_suite_says(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    told = {
        "corpora": [
            {"name": "a", "source": "a.csv", "limit": 100},
            {"name": "b", "source": "b.csv", "facets": ["stars"]},
        ],
        "matchers": ["ours"],
        "seed": 9,
    }
    path.write_text(json.dumps(told), encoding="utf-8")
    found = asked(path, ["b"], limit=30, matcher=["frequency"], model=None, device="cpu")
    assert [corpus.name for corpus in found.corpora] == ["b"]
    assert found.corpora[0].facets == ("stars",)
    assert found.corpora[0].limit == 30
    assert (found.matchers, found.seed, found.device) == (("frequency",), 9, "cpu")
    assert [corpus.limit for corpus in asked(path, [], limit=200).corpora] == [100, 200]
    with pytest.raises(InputError, match="--corpus c: not in the suite, which has a, b"):
        asked(path, ["c"])


def test_without_data_sets_there_is_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="give data sets with --corpus"):
        asked(None, [])


def test_the_command_is_written_back() -> None:
    typed = {"suite": Path("a b.json"), "corpus": ["x", "y"], "model": None, "limit": 5}
    assert (
        _command(typed)
        == "neuroscribe benchmark --suite 'a b.json' --corpus x --corpus y --limit 5"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/someone/data/x.csv does not exist", "x.csv does not exist"),
        ("--corpus a=/home/someone/x.csv --limit 3", "--corpus a=x.csv --limit 3"),
        ("transformers:/models/mine+keyphrase", "transformers:mine+keyphrase"),
        ("org/name and ../shared/data/x.csv", "org/name and ../shared/data/x.csv"),
        ("https://host/path", "https://host/path"),
        ("cannot read '/a/b c.json': gone", "cannot read 'b c.json': gone"),
    ],
)
def test_absolute_paths_lose_their_folders(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_file_names_tell_names_apart() -> None:
    assert file_name("embedded+keyphrase") == "embedded+keyphrase"
    assert file_name("a/model") != file_name("b/model")
    assert file_name("a/model").startswith("a-model-")
    assert "/" not in file_name("/")
