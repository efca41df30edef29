"""How every plot is drawn: one look, as SVG text that suits light and dark pages.

The same plot gives the same bytes: fixed fonts, fixed ids, no date. Colours are written as plain
attributes, with a style sheet that exchanges them on dark pages, so that viewers which know no
style sheets show the light colours.
"""

from __future__ import annotations

import base64
import io
import math
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from eval.table import TextTable
from eval.web_page import showable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure as Canvas

WIDTH = 700
"""Width of a plot, in pixels; text is legible at this width."""

LONGEST_NAME = 44
_INCH = 96
# Widths in pixels; the characters are those of a wide font at the sizes below.
_TITLE_CHARACTER = 7.4
_LEGEND_CHARACTER = 7.0
_LEGEND_MARK = 62
_LEGEND_ROW = 18
_DATA_ADDRESS = "data:image/svg+xml;base64,"
_HASH_SALT = "neuroscribe"
_FONT_FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_STYLE = re.compile(r'\sstyle="([^"]*)"')
_MATPLOTLIB_PROLOG = re.compile(
    r"\s*<metadata>.*?</metadata>|\s*<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", re.DOTALL
)
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# Plots are drawn under settings of matplotlib that are global to the process.
_DRAWING = threading.Lock()


class Ink(StrEnum):
    """Colours on a light ground, told apart by colour-blind readers; `DARK_INK` exchanges them."""

    TEXT = "#16202a"
    QUIET = "#56636f"
    GRID = "#dde3e6"
    BLUE = "#0b64a8"
    RED = "#b3261e"
    AMBER = "#8a5a00"
    GREEN = "#00785a"
    PURPLE = "#8a3f8f"


DARK_INK = {
    Ink.TEXT: "#e4ebef",
    Ink.QUIET: "#9baab5",
    Ink.GRID: "#34414a",
    Ink.BLUE: "#6cb8f5",
    Ink.RED: "#ff8f8a",
    Ink.AMBER: "#e7b85a",
    Ink.GREEN: "#4fd1a5",
    Ink.PURPLE: "#dd9be0",
}


@dataclass(frozen=True, slots=True)
class Look:
    """Colour, marker and dashes of a series: each alone tells it from the others."""

    ink: Ink
    marker: str
    dash: str | tuple[int, tuple[float, ...]]
    filled: bool = True

    @property
    def bare(self) -> Look:
        """The same without markers, for lines that no measured points lie on."""
        return replace(self, marker="")


VALUE = Look(Ink.BLUE, "o", "-")
NULL = Look(Ink.RED, "x", ":")
BASELINE = Look(Ink.AMBER, "s", "--", filled=False)
UPPER_BOUND = Look(Ink.QUIET, "D", "-.", filled=False)
SERIES = (
    VALUE,
    Look(Ink.GREEN, "^", "-."),
    Look(Ink.PURPLE, "D", ":"),
    Look(Ink.AMBER, "v", "--"),
    Look(Ink.RED, "s", (0, (6, 2))),
    Look(Ink.QUIET, "P", (0, (1, 3))),
    Look(Ink.BLUE, "s", (0, (4, 1, 1, 1)), filled=False),
    Look(Ink.GREEN, "o", (0, (8, 2, 2, 2)), filled=False),
    Look(Ink.PURPLE, "^", (0, (2, 1)), filled=False),
    Look(Ink.AMBER, "D", (0, (9, 3)), filled=False),
)
"""Looks for series that are no value, null, baseline or upper bound of one figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture with everything a reader needs who cannot see it or wants the numbers.

    `question` heads it on a page, `title` is written on it, `about` explains it to a reader who is
    no statistician, `alt` says in words what it shows. `name` is unique and fit for a file name.
    """

    name: str
    question: str
    title: str
    about: str
    alt: str
    svg: str
    height: int
    table: TextTable

    @property
    def address(self) -> str:
        """An address that holds the picture; as an image it can neither run nor load anything."""
        return _DATA_ADDRESS + base64.b64encode(showable(self.svg).encode("utf-8")).decode("ascii")


def draw(title: str, alt: str, height: int, paint: Callable[[Canvas], None]) -> str:
    """Let `paint` draw on an empty canvas of `WIDTH` x `height` pixels; returns the SVG text."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with _DRAWING, matplotlib.rc_context(), warnings.catch_warnings():
        # Names may hold characters of any script: the reader's fonts draw them, not matplotlib's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings())
        canvas = Canvas(figsize=(WIDTH / _INCH, height / _INCH), layout="constrained")
        canvas.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        paint(canvas)
        output = io.BytesIO()
        empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.savefig(output, format="svg", metadata=empty)
    return _finished(output.getvalue().decode("utf-8"), title, alt, height)


def shown_name(text: str, longest: int = LONGEST_NAME) -> str:
    """A name from outside as it is written on a plot: one line, not too long."""
    line = " ".join(_UNSHOWABLE.sub("\ufffd", " ".join(text.split())).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def name_in(panels_abreast: int) -> int:
    """How many characters a panel's title has room for."""
    return round(WIDTH / panels_abreast / _TITLE_CHARACTER) - 2


def legend(canvas: Canvas, entries: Sequence[tuple[str, Artist]]) -> None:
    """Write the legend below all panels, in as many columns as there is room for."""
    box = canvas.legend(
        [mark for _, mark in entries],
        [str(number) for number in range(len(entries))],
        loc="outside lower left",
        ncols=_legend_columns([name for name, _ in entries]),
    )
    # Set afterwards: matplotlib leaves out names that begin with an underscore.
    for text, (name, _) in zip(box.get_texts(), entries, strict=True):
        text.set_text(name)


def legend_height(names: Sequence[str]) -> int:
    """How many pixels a legend of these names takes."""
    return _LEGEND_ROW * math.ceil(len(names) / _legend_columns(names))


def _legend_columns(names: Sequence[str]) -> int:
    longest = max(len(name) for name in names)
    room = int(WIDTH / (longest * _LEGEND_CHARACTER + _LEGEND_MARK))
    return max(1, min(room, len(names)))


def sample(look: Look, *, line: bool = True) -> Artist:
    """The mark of a series in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **line_style(look, line=line))


def line_style(look: Look, *, line: bool = True) -> dict[str, Any]:
    """A look as arguments of matplotlib's `plot`."""
    return {
        "color": look.ink,
        "linestyle": look.dash if line else "none",
        "marker": look.marker,
        "markerfacecolor": look.ink if look.filled else "none",
        "markeredgecolor": look.ink,
    }


def _settings() -> Any:
    """Settings of matplotlib, whose names its types list one by one."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": _HASH_SALT,
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 9.0,
        "axes.titlesize": 9.0,
        "axes.titlelocation": "left",
        "axes.labelsize": 9.0,
        "axes.labelcolor": Ink.TEXT,
        "axes.titlecolor": Ink.TEXT,
        "axes.edgecolor": Ink.QUIET,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": Ink.GRID,
        "grid.linewidth": 0.8,
        "text.color": Ink.TEXT,
        "xtick.color": Ink.QUIET,
        "ytick.color": Ink.QUIET,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "lines.linewidth": 1.8,
        "lines.markersize": 5.0,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.handlelength": 3.2,
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "savefig.edgecolor": "none",
        "hatch.linewidth": 0.7,
    }


def _finished(drawn: str, title: str, alt: str, height: int) -> str:
    """The drawing without prolog and inline styles, with its words and its style sheet.

    Content security policies may forbid inline styles; attributes say the same.
    """
    start = drawn.index("<svg")
    opened = drawn.index(">", start) + 1
    body = _MATPLOTLIB_PROLOG.sub("", drawn[opened:])
    # Text holds no "<", and attributes no ">": what lies between them is a tag.
    body = re.sub(r"<[a-zA-Z][^>]*>", lambda tag: _STYLE.sub(_as_attributes, tag[0]), body)
    points = WIDTH * 72 / _INCH, height * 72 / _INCH
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {points[0]:g} {points[1]:g}" role="img" '
        'stroke-linejoin="round" stroke-linecap="butt">\n'
        f"<title>{escape(_UNSHOWABLE.sub(' ', title))}</title>\n"
        f"<desc>{escape(_UNSHOWABLE.sub(' ', alt))}</desc>\n"
        f"<style>{_style_sheet()}</style>{body}"
    )


def _as_attributes(style: re.Match[str]) -> str:
    pairs = (part.partition(":") for part in style[1].split(";") if part.strip())
    return "".join(
        f' {name.strip()}="{value.strip()}"'
        for name, _, value in pairs
        if name.strip() != "font-family"
    )


def _style_sheet() -> str:
    exchanged = "".join(
        f'[{part}="{light}"]{{{part}:{DARK_INK[light]}}}'
        for light in Ink
        for part in ("fill", "stroke")
    )
    return f"text{{font-family:{_FONT_FAMILY}}}@media (prefers-color-scheme:dark){{{exchanged}}}"
