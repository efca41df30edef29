import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.variants import Reading, Variant
from neurons.records import Tail


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("tau=0.9 tail=+ site=ffn", Variant(Reading.HEADLINE, 0.9, Tail.POSITIVE, "ffn")),
        (
            "tau=0.9 described tail=- site=hidden",
            Variant(Reading.DESCRIBED, 0.9, Tail.NEGATIVE, "hidden"),
        ),
        ("every_neuron tail=+ site=ffn", Variant(Reading.EVERY_NEURON, None, Tail.POSITIVE, "ffn")),
        (
            "tau=0.9 proposer=embedded+vllm:org/model tail=+ site=ffn",
            Variant("", 0.9, Tail.POSITIVE, "ffn", "embedded + vllm:org/model"),
        ),
        (
            "tau=0.9 upper_bound tail=+ site=ffn layer=0",
            Variant(Reading.UPPER_BOUND, 0.9, Tail.POSITIVE, "ffn", layer=0),
        ),
        (
            "tau=0.8 risk_coverage every_neuron coverage=0.1 tail=- site=ffn",
            Variant("risk_coverage every_neuron", 0.8, Tail.NEGATIVE, "ffn", coverage=0.1),
        ),
        ("concept upper_bound site=ffn", Variant("concept upper_bound", site="ffn")),
        ("every_label", Variant(Reading.EVERY_LABEL)),
        ("tau=0.8", Variant(Reading.HEADLINE, 0.8)),
        ("", Variant()),
        ("shuffled_sentences", Variant("shuffled_sentences")),
    ],
)
def test_variants_as_the_protocols_write_them(text: str, variant: Variant) -> None:
    assert Variant.parse(text) == variant
    assert str(variant) == text


@pytest.mark.parametrize(
    "word",
    [
        *("tau=nan", "tau=high", "tail=0", "site=", "proposer=", "tau", "x=1"),
        *("layer=", "layer=-1", "layer=1.5", "layer=²", "coverage=all", "coverage=inf"),
    ],
)
def test_a_word_that_is_no_setting_is_kept_in_the_reading(word: str) -> None:
    assert Variant.parse(f"tau=0.9 {word}" if "tau" not in word else word).reading == word


def test_a_setting_given_twice_keeps_both() -> None:
    assert Variant.parse("tau=0.9 tau=0.8") == Variant("tau=0.8", 0.9)


@given(
    st.sampled_from(Reading),
    st.one_of(st.none(), st.integers(0, 1000).map(lambda number: number / 1000)),
    st.one_of(st.none(), st.sampled_from(Tail)),
    st.sampled_from(["", "ffn", "hidden"]),
    st.lists(
        st.one_of(
            st.sampled_from(["embedded", "keyphrase", "transformers:./my models/a+b = c%20"]),
            st.text(min_size=1).filter(lambda name: " + " not in f" {name} "),
        ),
        max_size=3,
    ).map(" + ".join),
    st.one_of(st.none(), st.integers(1, 100).map(lambda number: number / 100)),
    st.one_of(st.none(), st.integers(0, 200)),
)
def test_what_is_written_reads_back(
    reading: Reading,
    tau: float | None,
    tail: Tail | None,
    site: str,
    proposer: str,
    coverage: float | None,
    layer: int | None,
) -> None:
    variant = Variant(reading, tau, tail, site, proposer, coverage, layer)
    assert Variant.parse(str(variant)) == variant
