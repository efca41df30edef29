"""Pages of lists as the API answers with them; `next_cursor` is None on the last one."""

from __future__ import annotations

from descriptors.edit_records import Edit
from eval.records import Figure
from indexer.records import Record
from service.jobs.records import Job
from service.upload_preview import UploadPreview
from service.uploads import Upload
from service.views.records import DescriptorList, RunCard, SentenceList, TailList


class RunPage(Record):
    """A page of runs, in alphabetical order."""

    items: tuple[RunCard, ...]
    total: int
    next_cursor: str | None


class TailPage(TailList):
    """A page of tails that pass a filter."""

    next_cursor: str | None


class DescriptorPage(DescriptorList):
    """A page of descriptors; `catalog_etag` is what an edit must name in If-Match."""

    catalog_etag: str
    next_cursor: str | None


class SentencePage(SentenceList):
    """A page of a descriptor's sentences."""

    next_cursor: str | None


class FigurePage(Record):
    """A page of evaluation figures that pass a filter."""

    items: tuple[Figure, ...]
    total: int
    next_cursor: str | None


class EditPage(Record):
    """A page of a catalog's edits, in order; the last `pending` wait for a rebuild."""

    items: tuple[Edit, ...]
    total: int
    pending: int
    catalog_etag: str
    next_cursor: str | None


class JobPage(Record):
    """A page of jobs, the newest first."""

    items: tuple[Job, ...]
    next_cursor: str | None


class UploadPage(Record):
    """A page of uploads, the newest first."""

    items: tuple[Upload, ...]
    total: int
    next_cursor: str | None


class UploadAnswer(Record):
    """An upload and its first rows."""

    upload: Upload
    preview: UploadPreview
