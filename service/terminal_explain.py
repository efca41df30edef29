"""Answers of `explain` in a terminal, with tokens on a background as strong as they fire."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from eval.highlighting import Scale, highlight
from neurons.records import Tail, TokenActivation
from service.explained import (
    ExplainedConcept,
    ExplainedNeuron,
    ExplainedTail,
    ExplainedText,
    FiringNeuron,
    NearDescriptor,
)
from service.terminal import new_console, table_of

_LONGEST_SENTENCE = 300
_VISIBLE_STRENGTH = 0.05
_BACKGROUND = {Tail.POSITIVE: (255, 140, 0), Tail.NEGATIVE: (60, 140, 255)}
"""Colour of full strength; orange and blue stay apart for colour-blind eyes."""


def show_explained(answer: ExplainedNeuron | ExplainedConcept | ExplainedText) -> None:
    """Show an answer on stdout."""
    match answer:
        case ExplainedNeuron():
            _show_neuron(answer)
        case ExplainedConcept():
            _show_concept(answer)
        case ExplainedText():
            _show_text(answer)


def highlighted(text: str, tokens: Sequence[TokenActivation], scale: Scale) -> Text:
    """`text` with each token's background between nothing and the tail's colour."""
    shown = Text()
    for segment in highlight(text, tokens, scale, max_characters=_LONGEST_SENTENCE):
        # Control characters of a corpus must not reach the terminal.
        plain = "".join(letter if letter.isprintable() else " " for letter in segment.text)
        shown.append(plain, style=_style(scale.tail, segment.strength))
    return shown


def _style(tail: Tail, strength: float) -> str:
    if strength < _VISIBLE_STRENGTH:
        return ""
    red, green, blue = (round(255 - strength * (255 - part)) for part in _BACKGROUND[tail])
    return f"black on #{red:02x}{green:02x}{blue:02x}"


def _show_neuron(answer: ExplainedNeuron) -> None:
    console = new_console()
    for tail in answer.tails:
        console.print(_matches(answer.neuron, tail))
        scale = Scale.over(
            tail.tail,
            [token.activation for sentence in tail.exemplars for token in sentence.tokens],
        )
        console.print("  sentences on which it is most active:")
        for sentence in tail.exemplars:
            line = Text(f"  {sentence.activation:8.3f}  ")
            line.append_text(highlighted(sentence.text, sentence.tokens, scale))
            line.append(f"  ({sentence.id}, {sentence.split})", style="dim")
            console.print(line)
        console.print()


def _matches(neuron: str, tail: ExplainedTail) -> Group | str:
    if tail.reason is not None:
        return f"{neuron} {tail.tail}: not described ({tail.reason.value.replace('_', ' ')})"
    rows = [
        (
            str(match.rank),
            match.descriptor,
            f"{match.auroc:.3f}",
            f"[{match.ci_low:.3f}, {match.ci_high:.3f}]",
            f"{match.q:.2g}",
        )
        for match in tail.matches
    ]
    header = ("rank", "descriptor", "AUROC", "95% interval", "q")
    return table_of(f"{neuron} {tail.tail}", header, rows)


def _show_concept(answer: ExplainedConcept) -> None:
    console = new_console()
    for near in answer.descriptors:
        console.print(_carriers(near))
        console.print()


def _carriers(near: NearDescriptor) -> Group | str:
    title = f"{near.descriptor} (similarity {near.similarity:.2f}, {near.n_neurons} neuron tails)"
    if not near.neurons:
        return title
    rows = [
        (
            f"{carrier.neuron} {carrier.tail}",
            str(carrier.match.rank),
            f"{carrier.match.auroc:.3f}",
            f"[{carrier.match.ci_low:.3f}, {carrier.match.ci_high:.3f}]",
        )
        for carrier in near.neurons
    ]
    return table_of(title, ("neuron", "rank", "AUROC", "95% interval"), rows)


def _show_text(answer: ExplainedText) -> None:
    console = new_console()
    if not answer.firing:
        console.print("the run has described no neuron that could be compared")
    rows = [_firing(answer.text, firing) for firing in answer.firing]
    header = ("neuron", "descriptor", "z", "percentile", "where")
    title = f"furthest above their usual level, of {answer.n_described:,} described neuron tails"
    console.print(table_of(title, header, rows))
    if answer.truncated_tokens:
        console.print(f"{answer.truncated_tokens} tokens did not fit the model and were not read")


def _firing(text: str, firing: FiringNeuron) -> tuple[str | Text, ...]:
    scale = Scale.over(firing.tail, [token.activation for token in firing.tokens])
    return (
        f"{firing.neuron} {firing.tail}",
        firing.match.descriptor,
        f"{firing.z:+.1f}",
        f"{firing.percentile:.1f}",
        highlighted(text, firing.tokens, scale),
    )
