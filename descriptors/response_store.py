"""Answers that were paid for, kept on disk so that no request is ever paid for twice.

    FOLDER/ab/abcdef….json    one answer; its name is the hash of the LM and of the whole request

Each answer is written the moment it comes, aside and renamed, so that a process killed at any
moment loses only what was in flight. Requests without an answer are not kept: they may pass later.
"""

from __future__ import annotations

import logging
from pathlib import Path

from descriptors.generation import Answer, ChatRequest
from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import fingerprint, write_json

logger = logging.getLogger(__name__)


def response_key(generator_fingerprint: str, request: ChatRequest) -> str:
    """What an answer is kept under: the LM, the messages, the schema and the sampling, hashed."""
    return fingerprint([generator_fingerprint, request.model_dump(mode="json")])


class _Entry(Record):
    """A file of the store; the key tells a file that was moved or copied over."""

    key: str
    answer: Answer


class ResponseStore:
    """A folder of answers, by key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> Answer | None:
        """The answer kept under `key`; None if there is none, or if its file is damaged.

        Raises:
            RunError: the file is there and cannot be opened.
        """
        path = self._path(key)
        try:
            entry = _Entry.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RunError(f"cannot read the stored answer {path}: {error.strerror}") from error
        except ValueError as error:
            _warn(path, f"it holds no answer ({type(error).__name__})")
            return None
        if entry.key != key:
            _warn(path, "it holds the answer to another request")
            return None
        return entry.answer

    def write(self, key: str, answer: Answer) -> None:
        """Keep an answer.

        Raises:
            RunError: it cannot be written.
        """
        write_json(self._path(key), _Entry(key=key, answer=answer).model_dump(mode="json"))

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"


def _warn(path: Path, problem: str) -> None:
    logger.warning("stored answer %s is ignored and asked for again: %s", path, problem)
