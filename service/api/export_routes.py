"""Routes of files: the tables of a run, and its report."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import FileResponse

from indexer.errors import RunError
from service.api.schemas import RunPath, document, problems
from service.api.state import state_of
from service.api.strict_routes import strict_router
from service.export import Table, export_table
from service.finished_run import FinishedRun
from service.report_stage import REPORT
from service.stages import StageRecord, output_fingerprint
from service.table_files import TableFormat

router = strict_router("/v1/runs/{run}", "exports")

MEDIA_TYPES = {
    TableFormat.CSV: "text/csv",
    TableFormat.JSONL: "application/x-ndjson",
    TableFormat.PARQUET: "application/vnd.apache.parquet",
}
_REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_TEXT, _BYTES = {"type": "string"}, {"type": "string", "format": "binary"}
_FAILURES = problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


def temporary_folder(request: Request) -> Iterator[Path]:
    """A folder that is removed once the answer is sent, or the client gone."""
    with TemporaryDirectory(prefix="export-", dir=state_of(request).settings.workspace) as folder:
        yield Path(folder)


@router.get(
    "/export/{table}.{table_format}",
    summary="A table of a run as a file",
    response_class=FileResponse,
    responses={
        **document(
            {
                MEDIA_TYPES[TableFormat.CSV]: _TEXT,
                MEDIA_TYPES[TableFormat.JSONL]: _TEXT,
                MEDIA_TYPES[TableFormat.PARQUET]: _BYTES,
            },
            "The file. In CSV, a text that a spreadsheet would compute has an apostrophe first.",
        ),
        **_FAILURES,
    },
)
def export_run(
    request: Request,
    run: RunPath,
    table: Table,
    table_format: TableFormat,
    folder: Annotated[Path, Depends(temporary_folder)],
) -> FileResponse:
    """Every row of a table: explanations, descriptors, evaluation or neurons."""
    path = folder / f"{run}-{table}.{table_format}"
    export_table(FinishedRun(state_of(request).runs.path(run)), path, table, table_format)
    return FileResponse(path, media_type=MEDIA_TYPES[table_format], filename=path.name)


@router.get(
    "/report",
    summary="The report of a run",
    response_class=FileResponse,
    responses={
        **document({"text/html": _TEXT}, "A page that needs nothing else and runs no script."),
        **_FAILURES,
    },
)
def get_report(request: Request, run: RunPath) -> FileResponse:
    """The report as it was written with the run."""
    folder = state_of(request).runs.path(run)
    path = folder / REPORT
    if not path.is_file():
        raise RunError(f"run {run} has no {REPORT} yet; finish it with a job of kind explain")
    _check_is_as_written(folder, run)
    return FileResponse(
        path,
        media_type="text/html",
        filename=f"{run}-report.html",
        content_disposition_type="inline",
        headers={"Content-Security-Policy": _REPORT_POLICY},
    )


def _check_is_as_written(folder: Path, run: str) -> None:
    """Check that a report is whole: a browser would show a part of it, or nothing, in silence."""
    record = folder / "stages" / "report.json"
    if not record.is_file():
        return
    written = StageRecord.read(record).outputs.get(REPORT)
    if written is not None and output_fingerprint(folder / REPORT) != written:
        raise RunError(
            f"{REPORT} of run {run} is not as it was written; start a job of kind evaluate, which "
            "writes it anew"
        )
