"""Corpora that users sent: streamed to disk, checked, and kept until somebody deletes them."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from indexer.errors import BackendError, InputError, NotFoundError, RunError
from indexer.records import Record
from indexer.storage import read_json, write_json
from service.service_settings import ServiceSettings
from service.upload_checks import UploadFormat, check_content, expand, kind_of
from service.upload_preview import UploadPreview, preview_of

logger = logging.getLogger(__name__)

UPLOAD_ID = r"^[0-9a-f]{16}$"
FOLDER = "uploads"
RECORD = "upload.json"

_PARTIAL = ".partial-"
_ABANDONED_SECONDS = 3600.0
_RESERVE_BYTES = 256 * 2**20
_NAME_CHARACTERS = 120
_SEND_AGAIN = "delete it (DELETE /v1/uploads/ID) and send it again"


class Upload(Record):
    """A corpus that was sent; `bytes` is its size as it is kept, decompressed.

    `name` is what the sender called the file, for people; no file of the service is called so.
    """

    id: str
    name: str
    format: UploadFormat
    bytes: int
    created_at: datetime


class Uploads:
    """The uploads of a service: a folder for each, below its workspace.

    Args:
        settings: of the service; says how large an upload may be.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._folder = settings.workspace.absolute() / FOLDER

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Keep what `chunks` bring; if anything goes wrong on the way, nothing of it stays.

        Args:
            name: what the sender calls the file; its ending says the format.
            chunks: the content as it arrives.

        Raises:
            InputError: it is too large, of another format than it says, damaged or empty.
            BackendError: the disk is full or cannot be written.
        """
        kind = kind_of(name)
        upload_id = secrets.token_hex(8)
        partial = self._folder / f"{_PARTIAL}{upload_id}"
        received = partial / "received"
        try:
            await asyncio.to_thread(self._prepare, partial)
            await self._receive(chunks, received)
            content = partial / _content_name(kind.format)
            if kind.is_compressed:
                await asyncio.to_thread(self._expand, received, content)
            else:
                received.rename(content)
            await asyncio.to_thread(
                check_content, content, kind.format, self._settings.expanded_bytes
            )
            upload = Upload(
                id=upload_id,
                name=shown_name(name),
                format=kind.format,
                bytes=content.stat().st_size,
                created_at=datetime.now(UTC),
            )
            await asyncio.to_thread(self._keep, partial, content, upload)
        except OSError as error:
            raise BackendError(
                f"the upload cannot be kept: {error.strerror or error}. Nothing of it stays; "
                "it works once the service's disk can be written"
            ) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        return upload

    def list(self) -> list[Upload]:
        """All uploads, the newest first."""
        found = []
        for record in self._folder.glob(f"[!.]*/{RECORD}"):
            try:
                found.append(Upload.model_validate(read_json(record)))
            except (RunError, ValueError):
                # It may be on its way out; one that is damaged must not hide the others.
                logger.warning("upload %s cannot be read", record.parent.name, exc_info=True)
        return sorted(found, key=lambda upload: (upload.created_at, upload.id), reverse=True)

    def get(self, upload_id: str) -> Upload:
        """An upload.

        Raises:
            NotFoundError: there is none of this id.
            RunError: what is known of it is damaged.
        """
        record = self._record(upload_id)
        try:
            return Upload.model_validate(read_json(record))
        except ValueError as error:
            raise RunError(f"{record} is damaged; {_SEND_AGAIN}") from error

    def path(self, upload_id: str) -> Path:
        """The file of an upload, absolute, in a form that `descriptors.readers` reads.

        Raises:
            NotFoundError: there is none of this id.
            RunError: it is damaged, or its content is missing.
        """
        upload = self.get(upload_id)
        path = self._folder / upload_id / _content_name(upload.format)
        if not path.is_file():
            raise RunError(f"the content of upload {upload_id} is missing; {_SEND_AGAIN}")
        return path

    def preview(self, upload_id: str, n_rows: int = 5) -> UploadPreview:
        """The fields and the first rows of an upload, and which field seems to hold the texts.

        Raises:
            NotFoundError: there is none of this id.
            InputError: its rows cannot be read.
        """
        upload = self.get(upload_id)
        return preview_of(self.path(upload_id), upload.format, n_rows)

    def delete(self, upload_id: str) -> None:
        """Remove an upload; runs that have read it keep their sentences.

        Raises:
            NotFoundError: there is none of this id.
            RunError: its files cannot be removed.
        """
        self._record(upload_id)
        # Renamed first: nobody may find half of it.
        removed = self._folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        try:
            (self._folder / upload_id).rename(removed)
        except FileNotFoundError as error:
            raise NotFoundError(f"upload {upload_id!r} was just deleted") from error
        except OSError as error:
            raise RunError(f"cannot delete upload {upload_id}: {error.strerror}") from error
        shutil.rmtree(removed, ignore_errors=True)

    def _record(self, upload_id: str) -> Path:
        record = self._folder / upload_id / RECORD
        if re.fullmatch(UPLOAD_ID, upload_id) is None or not record.is_file():
            raise NotFoundError(
                f"there is no upload {upload_id[:40]!r}; GET /v1/uploads lists those there are"
            )
        return record

    def _prepare(self, partial: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._free()
        partial.mkdir()
        long_ago = time.time() - _ABANDONED_SECONDS
        for left in self._folder.glob(f"{_PARTIAL}*"):
            # Of a process that was killed; a live upload writes all the time.
            if _last_written(left) < long_ago:
                shutil.rmtree(left, ignore_errors=True)

    async def _receive(self, chunks: AsyncIterator[bytes], path: Path) -> None:
        most, size = self._settings.upload_bytes, 0
        with path.open("wb") as handle:
            async for chunk in chunks:
                size += len(chunk)
                if size > most:
                    raise InputError(
                        f"the upload has more than {most:,} bytes; expected at most that. Send it "
                        "compressed (.gz), or a part of it"
                    )
                await asyncio.to_thread(self._write, handle, chunk)

    def _write(self, handle: BinaryIO, chunk: bytes) -> None:
        if len(chunk) > self._free():
            raise _full()
        handle.write(chunk)

    def _expand(self, received: Path, content: Path) -> None:
        free, limit = self._free(), self._settings.expanded_bytes
        try:
            expand(received, content, min(free, limit))
        except InputError as error:
            if free < limit and content.stat().st_size + 2**20 > free:
                raise _full() from error
            raise
        received.unlink()

    def _free(self) -> int:
        free = shutil.disk_usage(self._folder).free - _RESERVE_BYTES
        if free <= 0:
            raise _full()
        return free

    def _keep(self, partial: Path, content: Path, upload: Upload) -> None:
        with content.open("rb") as handle:
            os.fsync(handle.fileno())
        write_json(partial / RECORD, upload.model_dump(mode="json"))
        partial.rename(self._folder / upload.id)


def _last_written(folder: Path) -> float:
    """When anything in a folder was written; now, if it goes meanwhile: it is somebody's."""
    try:
        return max(each.stat().st_mtime for each in (folder, *folder.glob("*")))
    except FileNotFoundError:
        return time.time()


def shown_name(name: str) -> str:
    """A sender's file name for people: no folders, no control characters, not long."""
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(each for each in last if unicodedata.category(each)[0] != "C")
    words = " ".join(visible.split())
    if len(words) > _NAME_CHARACTERS:
        ending = "".join(Path(words).suffixes[-2:])[-20:]
        words = f"{words[: _NAME_CHARACTERS - len(ending) - 1]}…{ending}"
    return words


def _content_name(kind: UploadFormat) -> str:
    return f"content.{kind}"


def _full() -> BackendError:
    return BackendError(
        "the disk of the service is nearly full, so the upload was not kept; it works once old "
        "uploads or runs are deleted"
    )
