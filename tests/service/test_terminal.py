"""What a run and its evaluation look like in a terminal of eighty columns."""

import pytest

from descriptors.contributions import Contribution
from descriptors.records import Split
from eval.records import Figure
from indexer.errors import RunError
from neurons.records import AbstentionReason, Match, Site, Tail
from service import terminal
from service.overview import BestNeuron, DescriptorCounts, RunOverview, TailCounts
from service.pipeline import RunSummary
from service.terminal import new_console, show_figures, show_run, table_of


def figure(metric: str, variant: str, value: float, k: int | None = 2) -> Figure:
    return Figure(
        protocol="label_recovery", variant=f"{variant} tail=+ site=ffn", metric=metric, k=k,
        split="test", facet="theme", value=value, n=321,
    )  # fmt: skip


FIGURES = (
    figure("P", "tau=0.9", 0.6512),
    figure("R", "tau=0.9", 0.4),
    figure("P", "tau=0.9 upper_bound", 0.9),
    figure("R", "tau=0.9 upper_bound", 0.8),
    figure("prediction_share", "tau=0.9 proposer=embedded", 0.7),
    figure("prediction_precision", "tau=0.9 proposer=embedded", 0.81),
    figure("prediction_share", "tau=0.9 proposer=embedded+keyphrase", 0.3),
)
CONTRIBUTIONS = (
    Contribution(
        proposer="embedded", proposed=600, kept_alone=20, kept_jointly=5,
        rejected={"near_duplicate": 500, "too_long": 80},
    ),
    Contribution(
        proposer="keyphrase", proposed=440, kept_alone=15, kept_jointly=5, rejected={},
    ),
)  # fmt: skip


@pytest.fixture
def overview() -> RunOverview:
    match = Match(
        rank=1, descriptor_id="d1", descriptor="late delivery", auroc=0.9126, ci_low=0.87,
        ci_high=0.94, q=1e-9, exemplar_z=8.0,
    )  # fmt: skip
    return RunOverview(
        sentences={Split.DISCOVER: 500, Split.VALIDATION: 150, Split.TEST: 350},
        descriptors=DescriptorCounts(
            proposed=1040, kept=40, rejections={"near_duplicate": 1000}, contributions=CONTRIBUTIONS
        ),
        tails=(
            TailCounts(
                site=Site.FFN,
                tail=Tail.POSITIVE,
                neurons=2000,
                described=500,
                abstentions={AbstentionReason.NO_MATCH: 1490, AbstentionReason.WEAK: 10},
            ),
        ),
        best=(BestNeuron(neuron="L3.ffn.7", tail=Tail.POSITIVE, match=match),),
    )


def shown_run(
    overview: RunOverview, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setattr("service.overview.overview_of", lambda _path: overview)
    summary = RunSummary(
        out="runs/x", complete=True, reused=("corpus",), recomputed=("match", "report"),
        results={}, figures=FIGURES, report="runs/x/report.html",
    )  # fmt: skip
    show_run(summary)
    return capsys.readouterr().out


def test_run_is_summed_up_in_eighty_columns(
    overview: RunOverview, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown_run(overview, monkeypatch, capsys).splitlines()
    assert max(map(len, lines)) <= 80
    for expected in (
        "1,000  sentences: 500 discover, 150 validation, 350 test",
        "1,040  descriptors proposed",
        "1,000  rejected: near duplicate",
        "   40  descriptors kept",
        "  500  neuron tails described, 25.0% of 2,000",
        "site   neurons    described  no match  weak",
        "ffn +    2,000  500 (25.0%)     1,490    10",
        "L3.ffn.7 +  late delivery  0.913  [0.870, 0.940]",
        "0.9  2               0.65     -         -               0.40        -    321",
        "proposer   proposed  kept alone  kept jointly  mostly rejected as",
        "embedded        600          20             5  near duplicate",
        "keyphrase       440          15             5  -",
        "theme, ffn    embedded                70%       0.81  321",
        "tau 0.9, k 2  embedded + keyphrase    30%          -    0",
        "all 7 figures: neuroscribe evaluate runs/x --all",
        "stages: 2 done, 1 reused unchanged",
        "report: runs/x/report.html",
    ):
        assert expected in [line.rstrip() for line in lines], expected


def test_one_proposer_alone_is_not_compared(
    overview: RunOverview, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = overview.descriptors.model_copy(update={"contributions": CONTRIBUTIONS[:1]})
    alone = overview.model_copy(update={"descriptors": counts})
    assert "contributed" not in shown_run(alone, monkeypatch, capsys)


def test_run_without_neurons_is_damaged(
    overview: RunOverview, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = overview.model_copy(update={"tails": ()})
    with pytest.raises(RunError, match="explains no neurons"):
        shown_run(empty, monkeypatch, capsys)


def test_figures_are_compact_unless_all_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    show_figures(FIGURES)
    compact = capsys.readouterr().out
    assert "upper_bound" not in compact
    assert "Fewer than 30 neurons are too few to judge." in " ".join(compact.split())
    show_figures(FIGURES, everything=True)
    full = capsys.readouterr().out
    assert [full.count(name) for name in ("headline", "upper_bound")] == [2, 2]
    assert "keyphrase" in full
    assert "0.651" in full


def test_no_figures_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    show_figures(())
    assert "no protocol was asked for" in capsys.readouterr().out


def test_text_is_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    new_console().print(table_of("[bold]t[/]", ("a", "b"), [("[red]x[/red] :smile:", "1,234")]))
    shown = capsys.readouterr().out
    assert "[bold]t[/]" in shown
    assert "[red]x[/red] :smile:" in shown


@pytest.mark.parametrize(("minutes", "words"), [(0.5, "30 s"), (1.99, "119 s"), (3.2, "3 min")])
def test_durations(minutes: float, words: str) -> None:
    assert terminal._duration(minutes) == words
