"""A realistic run to render reports of."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.records import Descriptor
from eval.lexical import LexicalBaseline, LexicalControl, LexicalRecord, LexicalSample
from eval.null_distributions import (
    OBSERVED,
    Calibration,
    NullDistributions,
    StatisticHistogram,
    statistic_counts,
)
from eval.records import Figure
from eval.report_content import NamedCount, NamedText, RunSummary, StageTime
from eval.report_selection import ReportInputs
from neurons.records import (
    AbstentionReason,
    Exemplar,
    Explanation,
    Match,
    NeuronExemplars,
    Site,
    Tail,
    TokenActivation,
)

PHRASES = tuple(
    phrase.strip()
    for line in """
battery life | late delivery | wrong size | helpful support | bitter taste
sound quality | cracked screen | easy setup | refund refused | strong smell
soft fabric | noisy fan | weak suction | faded colour | loose stitching
slow charging | leaking bottle | sharp picture | missing parts | gift for a child
gluten free | comfortable shoes | poor instructions | stale coffee | sturdy frame
rude courier | value for money | skin irritation | long cable | lost parcel
app keeps crashing | bright light | hard to clean | tangled hair | fresh scent
broken zip | heavy to carry | fast reply | tight waist | sweet aftertaste
""".strip().splitlines()
    for phrase in line.split("|")
)
OPENINGS = ("The first thing I noticed was", "After two weeks,", "Everyone warned me about")
CLOSINGS = ("and I would buy it again.", "which was a pity.", "so it went straight back.")


def sentence(number: int) -> str:
    phrase = PHRASES[number % len(PHRASES)]
    opening = OPENINGS[number % len(OPENINGS)]
    return f"{opening} the {phrase} {CLOSINGS[number // 7 % len(CLOSINGS)]}"


def tokens(text: str, phrase: str, peak: float, sign: float) -> tuple[TokenActivation, ...]:
    start = text.find(phrase)
    return tuple(
        TokenActivation(
            start=word.start(),
            end=word.end(),
            activation=sign
            * (peak if start <= word.start() < start + len(phrase) else 0.07 * (word.start() % 9)),
        )
        for word in re.finditer(r"\w+|[^\w\s]", text)
    )


def label_recovery(value: float) -> list[Figure]:
    """Figures of one facet as a run writes them: at tau 0.9 with k = 2, all near `value`."""
    return [
        recovery_figure("every_label", "judged_labels", None, 24.0, n=24),
        recovery_figure("every_neuron tail=+ site=ffn", "described", None, 0.46, n=9216),
        *(
            figure
            for tail in Tail
            for tau in ("0.8", "0.9")
            for k in (1, 2, 5)
            for figure in cutoff_figures(tau, k, f"tail={tail} site=ffn", value)
        ),
    ]


def cutoff_figures(tau: str, k: int, place: str, value: float) -> list[Figure]:
    """What label recovery writes at one tau and k; no neuron has five labels."""
    figures = []
    for reading in ("", " described", " contained", " random_descriptors", " upper_bound"):
        level = {" random_descriptors": 0.03, " upper_bound": 0.9}.get(reading, value)
        controlled = reading not in {" random_descriptors", " upper_bound"}
        for metric, share in (("P", 1.0), ("R", 0.68)):
            figures.append(
                recovery_figure(
                    f"tau={tau}{reading} {place}",
                    metric,
                    k,
                    level * share,
                    null=0.03 if controlled else None,
                    baseline=0.02 if controlled else None,
                    n=0 if k == 5 else 3254,
                )
            )
    figures.append(recovery_figure(f"tau={tau} {place}", "R_ceiling", k, 0.81, n=3254 * (k < 5)))
    figures.append(recovery_figure(f"tau={tau} {place}", "gold_labels", k, 3.4, n=3254 * (k < 5)))
    return figures


def recovery_figure(
    variant: str,
    metric: str,
    k: int | None,
    value: float,
    *,
    n: int,
    null: float | None = None,
    baseline: float | None = None,
) -> Figure:
    """One figure of the facet `theme`, undefined where n is 0."""
    measured = n > 0
    return Figure(
        protocol="label_recovery",
        variant=variant,
        metric=metric,
        k=k,
        split="test",
        facet="theme",
        value=value if measured else None,
        ci_low=max(0.0, value - 0.012) if measured else None,
        ci_high=value + 0.012 if measured else None,
        null=null if measured else None,
        baseline=baseline if measured else None,
        n=n,
    )


def _demo_inputs(
    phrases: tuple[str, ...] = PHRASES,
    texts: tuple[str, ...] | None = None,
    value: float = 0.72,
    labelled: bool = True,
) -> ReportInputs:
    """100 neurons of two sites, both tails, over 40 descriptors and 400 sentences."""
    random = np.random.default_rng(7)
    texts = texts or tuple(sentence(number) for number in range(400))
    kept = [
        Descriptor(
            id=f"d{row}",
            text=phrase,
            proposer="keyphrase" if row % 3 else "embedded",
            group=f"g{row}",
            support=(row,),
            kept=True,
        )
        for row, phrase in enumerate(phrases)
    ]
    reasons = ["near_duplicate"] * 31 + ["does_not_retrieve_its_group"] * 12 + ["too_long"] * 5
    rejected = [
        Descriptor(
            id=f"r{row}", text="x", proposer="keyphrase", group="g", support=(), kept=False,
            reason=reason,
        )
        for row, reason in enumerate(reasons)
    ]  # fmt: skip
    members = np.zeros((len(kept), len(texts)))
    for row in range(len(kept)):
        members[row, row % len(texts) :: len(phrases) - row % 17] = random.uniform(0.5, 1.0)
    explanations, exemplars = [], []
    for number in range(100):
        neuron = f"L{number % 6}.{'ffn' if number % 4 else 'hidden'}.{number * 13}"
        for tail, sign in ((Tail.POSITIVE, 1.0), (Tail.NEGATIVE, -1.0)):
            if random.random() < 0.35:
                reason = list(AbstentionReason)[int(random.integers(0, 4))]
                explanations.append(Explanation(neuron=neuron, tail=tail, reason=reason))
                continue
            chosen = (random.beta(1, 2.5, 3) * len(kept)).astype(int)
            top = float(random.uniform(0.78, 0.985))
            explanations.append(
                Explanation(
                    neuron=neuron,
                    tail=tail,
                    matches=tuple(
                        Match(
                            rank=rank + 1,
                            descriptor_id=kept[which].id,
                            descriptor=kept[which].text,
                            auroc=top - 0.05 * rank,
                            ci_low=top - 0.05 * rank - 0.04,
                            ci_high=min(1.0, top - 0.05 * rank + 0.03),
                            q=10.0 ** -(6 - 2 * rank),
                            exemplar_z=12.5 - 3.0 * rank,
                        )
                        for rank, which in enumerate(dict.fromkeys(chosen.tolist()))
                    ),
                )
            )
            rows = [(chosen[0] + step * len(phrases)) % len(texts) for step in range(6)]
            exemplars.append(
                NeuronExemplars(
                    neuron=neuron,
                    tail=tail,
                    exemplars=tuple(
                        Exemplar(
                            row=row,
                            activation=sign * (3.1 - 0.2 * rank),
                            tokens=tokens(texts[row], kept[chosen[0]].text, 3.1 - 0.2 * rank, sign),
                        )
                        for rank, row in enumerate(rows)
                    ),
                )
            )
    figures = label_recovery(value) if labelled else []
    return ReportInputs(
        run=RunSummary(
            corpus="device_reviews.jsonl.gz",
            model="bundled (all-MiniLM-L6-v2)",
            encoder="bundled",
            proposers=("keyphrase", "embedded"),
            sentences=400,
            documents=132,
            splits=(
                NamedCount("discover", 200),
                NamedCount("validation", 60),
                NamedCount("test", 140),
            ),
            layers=6,
            sites=(Site.FFN, Site.HIDDEN),
            neurons=100,
            pooling="max",
            seed=0,
            labelled=labelled,
            stages=(
                StageTime("embed and index", 6.21),
                StageTime("propose", 3.4),
                StageTime("extract", 21.9),
                StageTime("match", 8.02),
                StageTime("evaluate", 2.7),
            ),
            versions=(NamedText("neuroscribe", "0.1.0"), NamedText("torch", "2.9.1")),
            notes=("3 sentences were left out as exact duplicates.",),
            manifest=(
                NamedText("corpus fingerprint", "9b1f4c0de7a64b0d94c1f2f3a8fd3c11"),
                NamedText("matching", '{"alpha": 0.05, "bootstrap": 200}'),
            ),
        ),
        texts=texts,
        descriptors=[*kept, *rejected],
        membership=csr_matrix(members),
        vectors=random.normal(size=(len(kept), 12)).astype(np.float32),
        explanations=explanations,
        exemplars=exemplars,
        figures=figures,
    )


def protocol_figure(
    protocol: str, variant: str, metric: str, value: float, k: int | None = None, **changed: Any
) -> Figure:
    """A figure of any protocol with an interval of 0.03 each way, null 0.05 and baseline 0.1."""
    values: dict[str, Any] = {
        "protocol": protocol,
        "variant": variant,
        "metric": metric,
        "k": k,
        "split": "test",
        "value": value,
        "ci_low": value - 0.03,
        "ci_high": value + 0.03,
        "null": 0.05,
        "baseline": 0.1,
        "n": 300,
    }
    return Figure(**(values | changed))


def _protocol_figures() -> list[Figure]:
    """Figures of every protocol, all above their controls but for two protocols and a null."""
    place = "tail=+ site=ffn"
    figure = protocol_figure
    return [
        *label_recovery(0.72),
        *(
            figure(
                "label_recovery", f"tau=0.9 risk_coverage coverage={coverage} {place}", "P",
                0.9 - 0.2 * coverage, 1, facet="theme", null=0.7,
            )
            for coverage in (0.1, 0.5, 1.0)
        ),
        *(
            figure("label_recovery", f"{words} layer={layer}", metric, value, k, facet="theme")
            for layer, value in enumerate((0.3, 0.5))
            for words, metric, k in (
                (f"every_neuron {place}", "described", None),
                (f"tau=0.9 {place}", "P", 2),
            )
        ),
        figure("label_recovery", "concept site=ffn", "Spearman", 0.4, facet="theme", n=40),
        *(
            figure("planted", f"gold={gold} strength={strength}", "P", 0.3 * strength + shift, 2)
            for gold, shift in (("descriptors", 0.3), ("labels", 0.1))
            for strength in (0.5, 1.5, 2.0)
        ),
        Figure.refused("planted_model", "the run has imported its activations; run on a model"),
        figure("observational", place, "F1", 0.4),
        figure("observational", place, "precision", 0.02),
        figure("detection", f"embedding {place}", "balanced_accuracy", 0.7, null=0.5),
        Figure.refused("fuzzing", "found 12 neurons with marked words, expected 20", n=12),
        figure("simulation", f"embedding {place}", "Pearson", 0.11),
        figure("cosy", place, "AUROC", 0.84, baseline=0.6),
        figure("cosy", f"best several {place}", "AUROC", 0.9, 5, baseline=0.89),
        figure("cosy", place, "MAD", 1.4),
        figure("stability", f"halves {place}", "Jaccard", 0.45, 5, n=12),
        figure("polysemanticity", place, "descriptor_cosine", 0.01, 5),
        figure("causal", "ablate tail=+", "excess", 0.4, n=60),
        figure("causal", "ablate tail=+", "shift", -0.4, n=60),
        figure("human", "descriptions", "accuracy", 0.6, null=0.25, baseline=None, n=40),
        figure("controls", "shuffled_sentences", "described", 0.021, null=None),
        figure("controls", "random_descriptors", "described", 0.093, null=None),
        figure("controls", "random_weights", "learned", 0.64, n=7000),
        figure("controls", "random_weights", "described", 0.05),
        figure("controls", f"random_weights layer=0 {place}", "learned", 0.33),
        figure("homegrown", "weird_word x=3", "odd_metric", 0.4, null=None, baseline=None),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def protocol_figures() -> list[Figure]:
    """Figures of every protocol; see `_protocol_figures`."""
    return _protocol_figures()


@pytest.fixture(scope="session")
def nulls() -> NullDistributions:
    """What a run keeps of its nulls, of one site."""
    random = np.random.default_rng(5)
    centres = {OBSERVED: 0.86, "shuffled_sentences": 0.56, "random_descriptors": 0.58}
    return NullDistributions(
        histograms=tuple(
            StatisticHistogram(
                control=control,
                site=Site.FFN,
                tail=tail,
                counts=statistic_counts(random.normal(centre, 0.03, 600)),
            )
            for control, centre in centres.items()
            for tail in Tail
        ),
        calibrations=tuple(
            Calibration(control=control, levels=(0.01, 0.05), shares=shares)
            for control, shares in (
                (OBSERVED, (0.02, 0.04)),
                ("shuffled_sentences", (0.0, 0.0)),
                ("random_descriptors", (0.0, 0.0003)),
            )
        ),
    )


@pytest.fixture(scope="session")
def lexical() -> LexicalBaseline:
    """Random weights of AUROC 0.7 to 0.87 in every layer but 1, which is not known."""
    aurocs = tuple(np.linspace(0.7, 0.87, 40).tolist())
    samples = (
        LexicalSample(
            control=LexicalControl.RANDOM_WEIGHTS, seed=0, layer=layer, site=site, tail=tail,
            best=aurocs, first_match=aurocs,
        )
        for layer in (0, 2, 3, 4, 5)
        for site in (Site.FFN, Site.HIDDEN)
        for tail in Tail
    )  # fmt: skip
    return LexicalBaseline(LexicalRecord(samples=tuple(samples)))


@pytest.fixture(scope="session")
def demo_inputs() -> Callable[..., ReportInputs]:
    """Builds the inputs of a realistic report; see `_demo_inputs` for what can be varied."""
    return _demo_inputs
