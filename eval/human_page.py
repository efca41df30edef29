"""The sheet of questions as a web page that needs no server, and as rows of a table.

Every sentence is escaped by the template, and the page's content security policy runs nothing but
the one script put in here.
"""

from __future__ import annotations

from string import ascii_uppercase

from eval.human_agreement import NONE_OF_THEM
from eval.human_sheet import HumanItem, HumanSheet
from eval.web_page import page_part, page_templates, policy_hash, showable

NONE_WORD = "none"
_FOLDER = "human_templates"


def option_letter(option: int) -> str:
    """How an option is written: A for the first, `none` for none of them."""
    return NONE_WORD if option == NONE_OF_THEM else ascii_uppercase[option]


def option_of(letter: str) -> int:
    """The option that a rater wrote.

    Raises:
        ValueError: it is neither a letter nor `none`.
    """
    written = letter.strip()
    if written.lower() == NONE_WORD:
        return NONE_OF_THEM
    if len(written) == 1 and written.upper() in ascii_uppercase:
        return ascii_uppercase.index(written.upper())
    raise ValueError(f"{letter!r} is no answer; expected a letter such as A, or {NONE_WORD}")


def render_sheet(sheet: HumanSheet) -> str:
    """The page; the same sheet gives the same text."""
    style, script = page_part(_FOLDER, "sheet.css"), page_part(_FOLDER, "sheet.js")
    page = (
        page_templates(_FOLDER)
        .get_template("sheet.html.j2")
        .render(
            sheet=sheet,
            letters=ascii_uppercase,
            style=style,
            script=script,
            style_hash=policy_hash(style),
            script_hash=policy_hash(script),
        )
    )
    return showable(page)


def sheet_rows(sheet: HumanSheet) -> list[dict[str, str]]:
    """A row for each question, with an empty `answer` to fill in."""
    most = max((len(item.options) for item in sheet.items), default=0)
    return [_row(sheet.id, item, most) for item in sheet.items]


def _row(sheet: str, item: HumanItem, n_columns: int) -> dict[str, str]:
    padding = [""] * (n_columns - len(item.options))
    return {
        "sheet": sheet,
        "question": item.id,
        "task": item.task.value,
        "sentences": "\n".join(item.sentences),
        **dict(zip(ascii_uppercase, (*item.options, *padding), strict=False)),
        "answer": "",
    }
