from typing import Any

import pytest

from eval.records import Figure
from eval.variant_words import VariantWords, without_curves


def test_words_are_settings_or_plain() -> None:
    words = VariantWords.parse("best gold=labels strength=1.5 gold=other = x= =y q<=1")
    assert words.settings == {"gold": "labels", "strength": "1.5", "q<": "1"}
    assert words.plain == ("best", "gold=other", "=", "x=", "=y")
    assert words.without("gold", "q<") == "best gold=other = x= =y strength=1.5"


@pytest.mark.parametrize(
    ("text", "number"),
    [("x=1.5", 1.5), ("x=nan", None), ("x=inf", None), ("x=a", None), ("", None)],
)
def test_numbers(text: str, number: float | None) -> None:
    assert VariantWords.parse(text).number("x") == number


def test_curves_are_told_from_figures_that_stand_for_themselves() -> None:
    def figure(variant: str) -> Figure:
        values: dict[str, Any] = {"protocol": "p", "metric": "P", "split": "test", "n": 1}
        return Figure(variant=variant, value=0.5, **values)

    whole = [figure(""), figure("tau=0.9 described tail=- site=ffn"), figure("risk_coverage")]
    parts = [figure("site=ffn layer=3"), figure("risk_coverage coverage=0.1")]
    assert without_curves([*parts, *whole]) == tuple(whole)
    assert VariantWords.parse("tail=-").is_negative_tail
    assert not VariantWords.parse("tail=+").is_negative_tail
