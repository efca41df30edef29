"""What the HTML pages share: templates that escape, parts by their hashes, showable text."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

# Lone surrogates cannot be encoded; browsers read the other characters as damage or control.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def page_templates(folder: str) -> Environment:
    """The templates in a folder of `eval`; they escape every text and refuse what is not given."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("eval", folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def page_part(folder: str, name: str) -> str:
    """The text of a style sheet or script in a folder of `eval`."""
    return resources.files("eval").joinpath(folder, name).read_text(encoding="utf-8")


def policy_hash(part: str) -> str:
    """A part's hash as a content security policy names it."""
    digest = hashlib.sha256(part.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def showable(text: str) -> str:
    """`text` with a replacement character for each that no page can show."""
    return _UNSHOWABLE.sub("\ufffd", text)
