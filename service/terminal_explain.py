"""Answers of `explain` in a terminal, with tokens on a background as strong as they fire."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Group
from rich.text import Text

from eval.highlighting import Scale, highlight
from eval.lexical import LexicalStanding
from neurons.records import Tail, TokenActivation
from neurons.statistics_records import QUANTILES, NeuronStatistics
from neurons.token_exemplars import TopWord
from service.explained import (
    CarriedTogether,
    ExemplarVariety,
    ExplainedConcept,
    ExplainedNeuron,
    ExplainedSentence,
    ExplainedTail,
    ExplainedText,
    FiringNeuron,
    NearDescriptor,
)
from service.terminal import new_console, table_of
from service.terminal_groups import GROUP_NOTE, group_lines, groups_table, set_line

_LONGEST_SENTENCE = 300
_CARRIERS_SHOWN = 5
_WORDS_SHOWN = 4
_TOP_WORDS_SHOWN = 8
_VISIBLE_STRENGTH = 0.05
_BACKGROUND = {Tail.POSITIVE: (255, 140, 0), Tail.NEGATIVE: (60, 140, 255)}
"""Colour of full strength; orange and blue stay apart for colour-blind eyes."""

_RANKED = "ranked without test; AUROC with its 95% interval on test"
_BEYOND_WORDS = (
    "beyond words: AUROC above what 19 of 20 units reach in the same model with random weights; "
    "a match below that is called lexical, for the words of the text explain it."
)


def show_explained(answer: ExplainedNeuron | ExplainedConcept | ExplainedText) -> None:
    """Show an answer on stdout."""
    match answer:
        case ExplainedNeuron():
            _show_neuron(answer)
        case ExplainedConcept():
            _show_concept(answer)
        case ExplainedText():
            _show_text(answer)


def highlighted(
    text: str, tokens: Sequence[TokenActivation], scale: Scale, *, coloured: bool = True
) -> Text:
    """`text` with each token's background between nothing and the tail's colour.

    Where it is not `coloured`, the strongest word stands between arrows instead.
    """
    segments = highlight(text, tokens, scale, max_characters=_LONGEST_SENTENCE)
    shown = Text()
    for segment in segments:
        style = _style(scale.tail, segment.strength) if coloured else ""
        shown.append(_printable(segment.text), style=style)
    if coloured or not any(segment.activation is not None for segment in segments):
        return shown
    strongest = max(range(len(segments)), key=lambda place: segments[place].strength)
    offset = sum(len(segment.text) for segment in segments[:strongest])
    start, end = _word_around(shown.plain, offset, offset + len(segments[strongest].text))
    return Text(f"{shown.plain[:start]}»{shown.plain[start:end]}«{shown.plain[end:]}")


def strongest_words(text: str, tokens: Sequence[TokenActivation], scale: Scale) -> Text:
    """The words of `text` that hold the strongest tokens, strongest first."""
    strengths: dict[tuple[int, int], float] = {}
    for token in tokens:
        if token.start < token.end:
            word = _word_around(text, token.start, token.end)
            strengths[word] = max(strengths.get(word, 0.0), scale.strength(token.activation))
    strongest = sorted(strengths.items(), key=lambda item: (-item[1], item[0]))
    shown = Text()
    for (start, end), strength in strongest[:_WORDS_SHOWN]:
        if strength < _VISIBLE_STRENGTH:
            break
        shown.append(" " if shown else "")
        shown.append(_printable(text[start:end]), style=_style(scale.tail, strength))
    return shown


def _word_around(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the word lies that the characters from `start` to `end` are a piece of."""
    while start > 0 and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isalnum():
        end += 1
    return start, end


def _printable(text: str) -> str:
    # Control characters of a corpus must not reach the terminal.
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _style(tail: Tail, strength: float) -> str:
    if strength < _VISIBLE_STRENGTH:
        return ""
    red, green, blue = (round(255 - strength * (255 - part)) for part in _BACKGROUND[tail])
    return f"black on #{red:02x}{green:02x}{blue:02x}"


def _show_neuron(answer: ExplainedNeuron) -> None:
    console = new_console()
    if answer.statistics is not None:
        console.print(statistics_line(answer.statistics))
        console.print()
    for tail in answer.tails:
        console.print(_matches(answer.neuron, tail))
        console.print()
        for line in (together_line(tail.together), variety_line(tail.variety)):
            console.print(line)
        if tail.words:
            console.print(words_line(tail.words))
        console.print()
        console.print(_exemplars(tail, coloured=console.color_system is not None))
        console.print()
    if answer.groups_sought:
        for line in group_lines(answer.neuron, answer.group):
            console.print(line)
    else:
        console.print("group: not looked for; the run has too few sentences to correlate neurons")
    console.print()
    if answer.group is not None:
        console.print(Text(GROUP_NOTE, style="dim"))
    if any(tail.matches for tail in answer.tails):
        console.print(Text(f"{_RANKED}; z of the descriptor among the exemplars.", style="dim"))
        console.print(Text(_BEYOND_WORDS, style="dim"))


def statistics_line(found: NeuronStatistics) -> str:
    """How the activations of a neuron are distributed over all sentences."""
    if found.constant:
        return f"activation: {found.mean:.3g} on all {found.n_sentences:,} sentences"
    low, high = (found.quantiles[QUANTILES.index(share)] for share in (0.01, 0.99))
    return (
        f"activation on {found.n_sentences:,} sentences: median {found.median:.3g}, 98% between "
        f"{low:.3g} and {high:.3g}, extremes {found.minimum:.3g} and {found.maximum:.3g}; above 0 "
        f"on {found.positive_share:.0%}"
    )


def together_line(together: CarriedTogether) -> str:
    """What descriptors explain together, beside what shuffled documents would."""
    if not together.parts:
        return "together: no descriptor explains a share of its variance that validation confirms"
    parts = " + ".join(part.descriptor for part in together.parts)
    share = together.explained_variance
    told = "it is constant on test" if share is None else f"{share:.1%} of its variance on test"
    return f"together: {parts}: {told} (shuffled documents {_mean_share(together.null)})"


def words_line(words: Sequence[TopWord]) -> Text:
    """The words that occur most often among those on which a tail is strongest."""
    n_words = sum(word.count for word in words)
    shown = ", ".join(f"{_printable(word.word)} {word.count}" for word in words[:_TOP_WORDS_SHOWN])
    return Text(f"strongest {n_words} words: {shown}")


def variety_line(variety: ExemplarVariety) -> str:
    """How many distinct things the strongest sentences are about."""
    if not variety.groups:
        return f"strongest {variety.exemplars} sentences: no descriptor gathers them"
    groups = ", ".join(f"{group.descriptor} {group.exemplars}" for group in variety.groups)
    null = _mean_share(variety.null)
    return (
        f"strongest {variety.exemplars} sentences: {groups} ({variety.covered:.0%} gathered, "
        f"shuffled documents {null})"
    )


def _mean_share(shares: Sequence[float]) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(sum(shares) / len(shares), 3) + 0.0:.1%}" if shares else "not computed"


def _exemplars(tail: ExplainedTail, *, coloured: bool) -> Group:
    scale = Scale.over(
        tail.tail, [token.activation for sentence in tail.exemplars for token in sentence.tokens]
    )
    rows = [
        (f"{sentence.activation:.3f}", _sentence(sentence, scale, coloured=coloured))
        for sentence in tail.exemplars
    ]
    extreme = "highest" if tail.tail is Tail.POSITIVE else "lowest"
    return table_of(f"sentences with the {extreme} activation", ("", ""), rows)


def _sentence(sentence: ExplainedSentence, scale: Scale, *, coloured: bool) -> Text:
    line = highlighted(sentence.text, sentence.tokens, scale, coloured=coloured)
    return line.append(f"  ({_printable(sentence.id)}, {sentence.split})", style="dim")


def _matches(neuron: str, tail: ExplainedTail) -> Group | Text:
    title = f"{neuron} {tail.tail}"
    if tail.reason is not None:
        return Text(f"{title}: not described ({tail.reason.value.replace('_', ' ')})", style="bold")
    rows = [
        (
            str(match.rank),
            match.descriptor,
            f"{match.auroc:.3f}",
            f"[{match.ci_low:.3f}, {match.ci_high:.3f}]",
            f"{match.q:.2g}",
            f"{match.exemplar_z:.1f}",
            standing_words(standing),
        )
        for match, standing in zip_longest(tail.matches, tail.standings)
    ]
    header = ("rank", "descriptor", "AUROC", "95% interval", "q", "exemplar z", "beyond words")
    return table_of(title, header, rows, right=(4, 5))


def standing_words(standing: LexicalStanding | None) -> str:
    """How far a match lies above what words alone give, and what that makes it."""
    return "not known" if standing is None else f"{standing.excess:+.3f} {standing.label}"


def _show_concept(answer: ExplainedConcept) -> None:
    console = new_console()
    rows = [
        (near.descriptor, f"{near.similarity:.2f}", f"{near.n_neurons:,}")
        for near in answer.descriptors
    ]
    title = f"descriptors nearest to '{_printable(answer.concept)}'"
    console.print(table_of(title, ("descriptor", "similarity", "neuron tails"), rows))
    console.print()
    for near in answer.descriptors:
        if near.neurons:
            console.print(_carriers(near))
            if near.neuron_set is not None:
                console.print(set_line(near.neuron_set))
            console.print()
        if near.groups:
            console.print(groups_table(near))
            console.print()
    if any(near.groups for near in answer.descriptors):
        console.print(Text(GROUP_NOTE, style="dim"))
    console.print(Text(f"Similarity is the cosine of the embeddings; {_RANKED}.", style="dim"))
    if any(near.neurons for near in answer.descriptors):
        console.print(Text(_BEYOND_WORDS, style="dim"))


def _carriers(near: NearDescriptor) -> Group:
    shown = near.neurons[:_CARRIERS_SHOWN]
    rows = [
        (
            f"{carrier.neuron} {carrier.tail}",
            str(carrier.match.rank),
            f"{carrier.match.auroc:.3f}",
            f"[{carrier.match.ci_low:.3f}, {carrier.match.ci_high:.3f}]",
            standing_words(carrier.standing),
        )
        for carrier in shown
    ]
    count = f"{len(shown)} of {near.n_neurons:,}" if len(shown) < near.n_neurons else "all"
    title = f"{near.descriptor}: {count} neuron tails that carry it"
    return table_of(title, ("neuron", "rank", "AUROC", "95% interval", "beyond words"), rows)


def _show_text(answer: ExplainedText) -> None:
    console = new_console()
    if not answer.n_described:
        console.print("the run has described no neuron that could be compared")
    elif not answer.firing:
        console.print(f"none of {answer.n_described:,} described neuron tails is above its mean")
    else:
        header = ("neuron", "descriptor", "AUROC", "z", "percentile", "strongest words")
        rows = [_firing(answer.text, firing) for firing in answer.firing]
        title = f"furthest above their usual level, of {answer.n_described:,} described tails"
        console.print(table_of(title, header, rows))
        console.print()
        note = "z and percentile of the text against the run's discover sentences."
        console.print(Text(note, style="dim"))
    if answer.truncated_tokens:
        console.print(f"{answer.truncated_tokens} tokens did not fit the model and were not read")


def _firing(text: str, firing: FiringNeuron) -> tuple[str | Text, ...]:
    scale = Scale.over(firing.tail, [token.activation for token in firing.tokens])
    return (
        f"{firing.neuron} {firing.tail}",
        firing.match.descriptor,
        f"{firing.match.auroc:.3f}",
        f"{firing.z:.1f}",
        f"{firing.percentile:.1f}",
        strongest_words(text, firing.tokens, scale),
    )
