"""An example of each answer of the API, shown in the OpenAPI document and on its page.

`answer_examples.json` holds them by operation and media type: what a service over a run of the
sample corpus answered, with long lists cut short.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES_FILE = Path(__file__).with_name("answer_examples.json")


def add_examples(document: dict[str, Any]) -> None:
    """Put each example beside the schema of the successful answer it is of."""
    examples = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))
    for methods in document["paths"].values():
        for operation in methods.values():
            found = examples.get(operation["operationId"], {})
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    for media_type, told in answer.get("content", {}).items():
                        if media_type in found:
                            told["example"] = found[media_type]
