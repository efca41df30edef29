import re
from importlib import resources

import pytest


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_legible(theme: str) -> None:
    style = resources.files("eval").joinpath("templates", "report.css").read_text("utf-8")
    light, dark = re.findall(r":root\s*\{(.*?)\}", style, flags=re.DOTALL)
    body = light if theme == "light" else light + dark
    colours = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", body))
    pairs = [(f"step-{step}", f"step-{step}-ink") for step in range(7)]
    pairs += [("surface", name) for name in ("ink", "quiet", "accent", "good", "bad", "open")]
    pairs += [("ground", "ink"), ("ground", "quiet"), ("ground", "accent")]
    pairs += [("bad-ground", "bad"), ("bad-ground", "ink"), ("open-ground", "ink")]
    pairs += [("tone-positive", "ink"), ("tone-negative", "ink")]
    pairs += [("surface", "positive-ink"), ("surface", "negative-ink")]
    for ground, ink in pairs:
        assert contrast(colours[ground], colours[ink]) >= 4.5, f"{ink} on {ground}"
