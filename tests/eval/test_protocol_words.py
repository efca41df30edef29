import pytest

from eval.protocol_words import PROTOCOLS, metric_name, protocol_words
from eval.records import Figure

EVERY_PROTOCOL = (
    "label_recovery planted planted_model observational detection fuzzing simulation cosy "
    "stability polysemanticity causal controls"
)


def test_every_protocol_is_explained() -> None:
    assert set(PROTOCOLS) == {*EVERY_PROTOCOL.split(), "human"}
    for words in PROTOCOLS.values():
        assert words.question.endswith("?")
        assert words.reading.endswith((".", "?"))


def test_a_protocol_that_is_not_known_has_its_name_only() -> None:
    words = protocol_words("home_grown")
    assert (words.name, words.question, words.reading) == ("Home grown", "", "")


@pytest.mark.parametrize(
    ("metric", "k", "name"),
    [
        ("P", 2, "precision@2"),
        ("balanced_accuracy", None, "balanced accuracy"),
        ("explained_variance_gain", 5, "variance explained beyond the first descriptor@5"),
        ("AUROC", 5, "AUROC@5"),
        ("some_metric", None, "some metric"),
    ],
)
def test_metric_names(metric: str, k: int | None, name: str) -> None:
    figure = Figure(protocol="x", variant="", metric=metric, k=k, split="test", value=0.5, n=1)
    assert metric_name(figure) == name
