"""A realistic run to render reports of."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.records import Descriptor
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


@pytest.fixture(scope="session")
def demo_inputs() -> Callable[..., ReportInputs]:
    """Builds the inputs of a realistic report; see `_demo_inputs` for what can be varied."""
    return _demo_inputs
