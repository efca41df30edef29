"""Answers of `explain` as text: what is marked, what is counted, what is left out."""

import pytest

from descriptors.records import Split
from eval.highlighting import Scale
from eval.lexical import LexicalLabel, LexicalStanding
from neurons.records import AbstentionReason, Match, Tail, TokenActivation
from service.explained import (
    CarriedTogether,
    CarryingNeuron,
    DescriptorPart,
    ExemplarGroup,
    ExemplarVariety,
    ExplainedConcept,
    ExplainedNeuron,
    ExplainedSentence,
    ExplainedTail,
    ExplainedText,
    FiringNeuron,
    NearDescriptor,
)
from service.terminal_explain import (
    highlighted,
    show_explained,
    strongest_words,
    together_line,
    variety_line,
)

TEXT = "the parcel came lately, again"


def tokens(*activations: float) -> tuple[TokenActivation, ...]:
    """Tokens `the`, `parcel`, `came`, `late`, `ly`, `,`, `again`."""
    places = ((0, 3), (4, 10), (11, 15), (16, 20), (20, 22), (22, 23), (24, 29))
    return tuple(
        TokenActivation(start=start, end=end, activation=activation)
        for (start, end), activation in zip(places, activations, strict=True)
    )


FIRING = tokens(0.0, 1.0, 0.1, 0.2, 2.0, 0.0, 0.5)
SCALE = Scale.over(Tail.POSITIVE, [token.activation for token in FIRING])


def match(auroc: float = 0.91234) -> Match:
    return Match(
        rank=1, descriptor_id="d", descriptor="late delivery", auroc=auroc, ci_low=0.85,
        ci_high=0.95, q=0.00012, exemplar_z=7.25,
    )  # fmt: skip


def test_without_colour_the_strongest_word_is_marked_whole() -> None:
    shown = highlighted(TEXT, FIRING, SCALE, coloured=False)
    assert shown.plain == "the parcel came »lately«, again"
    assert not shown.spans


def test_with_colour_the_text_is_unchanged_and_the_strongest_token_full() -> None:
    shown = highlighted(TEXT, FIRING, SCALE)
    assert shown.plain == TEXT
    styles = {TEXT[span.start : span.end]: str(span.style) for span in shown.spans}
    assert styles["ly"] == "black on #ff8c00"
    assert set(styles) == {"parcel", "came", "late", "ly", "again"}


def test_a_text_without_tokens_marks_nothing() -> None:
    assert highlighted(TEXT, (), Scale.over(Tail.POSITIVE, ()), coloured=False).plain == TEXT


def test_strongest_words_come_in_order_and_end_where_nothing_fires() -> None:
    assert strongest_words(TEXT, FIRING, SCALE).plain == "lately parcel again came"
    one = tokens(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    scale = Scale.over(Tail.POSITIVE, [token.activation for token in one])
    assert strongest_words(TEXT, one, scale).plain == "parcel"


def test_control_characters_never_reach_the_terminal() -> None:
    text = "\x1b[31mred"
    token = TokenActivation(start=0, end=len(text), activation=1.0)
    scale = Scale(Tail.POSITIVE, 0.0, 1.0)
    assert "\x1b" not in highlighted(text, [token], scale).plain
    assert "\x1b" not in strongest_words(text, [token], scale).plain


def part(descriptor: str) -> DescriptorPart:
    return DescriptorPart(descriptor_id="d", descriptor=descriptor, weight=1.0)


def test_what_adds_up_stands_beside_its_null() -> None:
    together = CarriedTogether(
        parts=(part("late delivery"), part("refund")),
        explained_variance=0.251,
        null=(0.0, -0.0004, 0.02),
    )
    assert together_line(together) == (
        "together: late delivery + refund: 25.1% of its variance on test (shuffled documents 0.7%)"
    )
    constant = together.model_copy(update={"explained_variance": None, "null": (-0.0001,)})
    assert together_line(constant) == (
        "together: late delivery + refund: it is constant on test (shuffled documents 0.0%)"
    )
    nothing = together.model_copy(update={"parts": ()})
    assert "no descriptor explains" in together_line(nothing)


def test_distinct_groups_stand_beside_their_null() -> None:
    groups = (
        ExemplarGroup(descriptor_id="d1", descriptor="refund", exemplars=20),
        ExemplarGroup(descriptor_id="d2", descriptor="parcels", exemplars=5),
    )
    variety = ExemplarVariety(exemplars=50, groups=groups, covered=0.5, null=(0.0, 0.02))
    assert variety_line(variety) == (
        "strongest 50 sentences: refund 20, parcels 5 (50% gathered, shuffled documents 1.0%)"
    )
    assert "not computed" in variety_line(variety.model_copy(update={"null": ()}))


def test_neuron_names_the_end_of_each_tail(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = ExplainedSentence(
        id="review7", text=TEXT, split=Split.TEST, activation=2.0, tokens=FIRING
    )
    show_explained(
        ExplainedNeuron(
            neuron="L1.ffn.2",
            tails=(
                ExplainedTail(
                    tail=Tail.POSITIVE,
                    matches=(match(),),
                    standings=(LexicalStanding(0.0312, 0.01, LexicalLabel.LEARNED),),
                    reason=None,
                    together=CarriedTogether(
                        parts=(part("late delivery"), part("refund")),
                        explained_variance=0.251,
                        null=(0.0, -0.0004, 0.02),
                    ),
                    variety=ExemplarVariety(
                        exemplars=50,
                        groups=(
                            ExemplarGroup(descriptor_id="d1", descriptor="refund", exemplars=20),
                            ExemplarGroup(descriptor_id="d2", descriptor="parcels", exemplars=5),
                        ),
                        covered=0.5,
                        null=(-0.0001,),
                    ),
                    exemplars=(sentence,),
                ),
                ExplainedTail(
                    tail=Tail.NEGATIVE,
                    matches=(),
                    reason=AbstentionReason.NO_MATCH,
                    together=CarriedTogether(parts=(), explained_variance=0.0, null=()),
                    variety=ExemplarVariety(exemplars=50, groups=(), covered=0.0, null=()),
                    exemplars=(sentence.model_copy(update={"activation": -0.5}),),
                ),
            ),
        )
    )
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    for expected in (
        "L1.ffn.2 +",
        "   1  late delivery  0.912  [0.850, 0.950]  0.00012         7.2  +0.031 learned",
        "together: late delivery + refund: 25.1% of its variance on test (shuffled",
        "strongest 50 sentences: no descriptor gathers them",
        "sentences with the highest activation",
        "2.000  the parcel came »lately«, again  (review7, test)",
        "L1.ffn.2 -: not described (no descriptor beats null)",
        "sentences with the lowest activation",
    ):
        assert expected in lines, expected


def test_concept_counts_all_carriers_and_shows_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    carriers = tuple(
        CarryingNeuron(neuron=f"L0.ffn.{unit}", tail=Tail.POSITIVE, match=match(0.9 - unit / 100))
        for unit in range(8)
    )
    near = NearDescriptor(
        descriptor_id="d", descriptor="late delivery", similarity=0.5, n_neurons=1234,
        neurons=carriers,
    )  # fmt: skip
    silent = near.model_copy(update={"descriptor": "rain", "n_neurons": 0, "neurons": ()})
    show_explained(ExplainedConcept(concept="delays", descriptors=(near, silent)))
    shown = capsys.readouterr().out
    assert "descriptors nearest to 'delays'" in shown
    assert "late delivery: 5 of 1,234 neuron tails that carry it" in shown
    assert "L0.ffn.4 +" in shown
    assert "L0.ffn.5 +" not in shown
    assert "rain:" not in shown


def test_text_shows_the_strongest_words(capsys: pytest.CaptureFixture[str]) -> None:
    firing = FiringNeuron(
        neuron="L1.ffn.2", tail=Tail.POSITIVE, match=match(), activation=2.0, z=5.25,
        percentile=99.5, tokens=FIRING,
    )  # fmt: skip
    answer = ExplainedText(text=TEXT, n_described=3, truncated_tokens=2, firing=(firing,))
    show_explained(answer)
    shown = capsys.readouterr().out
    row = "L1.ffn.2 +  late delivery  0.912  5.2        99.5  lately parcel again came"
    assert row in shown
    assert "2 tokens did not fit the model" in shown
    show_explained(answer.model_copy(update={"firing": ()}))
    assert "none of 3 described neuron tails is above its mean" in capsys.readouterr().out
    show_explained(answer.model_copy(update={"firing": (), "n_described": 0}))
    assert "described no neuron" in capsys.readouterr().out
