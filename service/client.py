"""A service asked from Python: the same records as in its OpenAPI document.

    with Client("http://127.0.0.1:8765") as client:
        for tail in client.list_neurons("reviews", described=True):
            print(tail.neuron, tail.explanation.description)

Methods are called like the operations of the document. Lists ask for further pages as they are
read. Problems are raised as the errors of `indexer.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx2
from pydantic import TypeAdapter

from descriptors.edit_records import Edit
from eval.records import Figure
from indexer.storage import atomic_path
from service.api.edit_requests import EditRequest
from service.api.page_records import (
    DescriptorPage,
    EditPage,
    FigurePage,
    JobPage,
    RunPage,
    SentencePage,
    TailPage,
    UploadAnswer,
    UploadPage,
)
from service.client_operations import OPERATIONS
from service.client_requests import Requests, named_error
from service.edit_outcome import EditOutcome
from service.explained import ExplainedConcept
from service.export import Table
from service.jobs.job_log import LogPart
from service.jobs.records import Job, JobKind, JobProblem, JobSpec, JobState
from service.overview import RunOverview
from service.table_files import TableFormat
from service.uploads import Upload
from service.views.records import (
    DescriptorAnswer,
    DescriptorCard,
    LayerMap,
    MemberSentence,
    NeuronAnswer,
    NeuronFilter,
    RunCard,
    TailCard,
    TextAnswer,
)

JSON_LINES = "application/x-ndjson"
PAGE = 200
"""Items asked for at once."""
_CHUNK_BYTES = 2**18
_BINARY = {"Content-Type": "application/octet-stream"}

_CHANGE: TypeAdapter[Job | JobProblem] = TypeAdapter(Job | JobProblem)


class Client:
    """A service, asked over HTTP; close it, or use it in `with`.

    Args:
        base_url: where it listens, such as `http://127.0.0.1:8765`.
        api_key: a key of the service, if it asks for one.
        timeout: seconds to wait for an answer to begin or to go on.
        transport: sends the requests in another way than over a socket.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._requests = Requests(
            httpx2.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()

    def list_runs(self) -> Iterator[RunCard]:
        """Every run, finished or not."""
        return self._listed(RunPage, "list_runs", {})

    def get_run(self, run: str) -> RunCard:
        """A run at a glance."""
        return self._requests.ask(RunCard, OPERATIONS["get_run"], {"run": run})

    def delete_run(self, run: str) -> None:
        """Remove a run with everything in it."""
        self._requests.do(OPERATIONS["delete_run"], {"run": run})

    def get_overview(self, run: str) -> RunOverview:
        """What a run has read, proposed and described."""
        return self._requests.ask(RunOverview, OPERATIONS["get_overview"], {"run": run})

    def get_layer_map(self, run: str) -> LayerMap:
        """Every site of every layer."""
        return self._requests.ask(LayerMap, OPERATIONS["get_layer_map"], {"run": run})

    def list_neurons(self, run: str, wanted: NeuronFilter | None = None) -> Iterator[TailCard]:
        """The tails that pass a filter, in its order."""
        params = {} if wanted is None else wanted.model_dump(mode="json", exclude_unset=True)
        return self._listed(TailPage, "list_neurons", {"run": run}, params)

    def get_neuron(self, run: str, address: str) -> NeuronAnswer:
        """What a neuron responds to."""
        names = {"run": run, "address": address}
        return self._requests.ask(NeuronAnswer, OPERATIONS["get_neuron"], names)

    def find_concept(
        self, run: str, words: str, *, n_descriptors: int = 5, n_neurons: int = 10
    ) -> ExplainedConcept:
        """The descriptors nearest to some words, and the neurons that carry each."""
        return self._requests.ask(
            ExplainedConcept,
            OPERATIONS["find_concept"],
            {"run": run},
            params={"q": words, "n_descriptors": n_descriptors, "n_neurons": n_neurons},
        )

    def list_descriptors(
        self, run: str, *, search: str = "", kept: bool | None = None
    ) -> Iterator[DescriptorCard]:
        """Descriptors whose phrase holds `search`, kept ones first."""
        params = {"search": search, "kept": kept}
        return self._listed(DescriptorPage, "list_descriptors", {"run": run}, params)

    def get_descriptor(self, run: str, descriptor: str) -> DescriptorAnswer:
        """A descriptor and the tails that carry it."""
        names = {"run": run, "descriptor": descriptor}
        return self._requests.ask(DescriptorAnswer, OPERATIONS["get_descriptor"], names)

    def list_sentences(self, run: str, descriptor: str) -> Iterator[MemberSentence]:
        """The sentences of a descriptor, the surest first."""
        names = {"run": run, "descriptor": descriptor}
        return self._listed(SentencePage, "list_sentences", names)

    def list_edits(self, run: str) -> Iterator[Edit]:
        """The edits of a catalog, in order."""
        return self._listed(EditPage, "list_edits", {"run": run})

    def catalog_etag(self, run: str) -> str:
        """What an edit made now must name."""
        page = self._requests.ask(
            EditPage, OPERATIONS["list_edits"], {"run": run}, params={"limit": 1}
        )
        return page.catalog_etag

    def edit_descriptors(
        self, run: str, wish: EditRequest, *, if_match: str, dry_run: bool = False
    ) -> EditOutcome:
        """Keep an edit of a catalog; a job of kind `rebuild` applies it.

        Args:
            run: the run.
            wish: the edit.
            if_match: the `catalog_etag` that it was made for.
            dry_run: whether only to tell what it would do.

        Raises:
            StaleError: the catalog has changed since.
        """
        return self._requests.ask(
            EditOutcome,
            OPERATIONS["edit_descriptors"],
            {"run": run},
            params={"dry_run": dry_run},
            json=wish.model_dump(mode="json"),
            headers={"If-Match": f'"{if_match}"'},
        )

    def explain_text(self, run: str, text: str, *, n_neurons: int = 10) -> TextAnswer:
        """The described neurons that a text drives above their usual level."""
        asked = {"run": run, "text": text, "n_neurons": n_neurons}
        return self._requests.ask(TextAnswer, OPERATIONS["explain_text"], json=asked)

    def list_figures(
        self,
        run: str,
        *,
        protocol: str | None = None,
        variant: str | None = None,
        metric: str | None = None,
        split: str | None = None,
    ) -> Iterator[Figure]:
        """The evaluation of a run; only the figures that pass all filters."""
        params = {"protocol": protocol, "variant": variant, "metric": metric, "split": split}
        return self._listed(FigurePage, "list_figures", {"run": run}, params)

    def export_run(self, run: str, table: Table, table_format: TableFormat, to: Path) -> None:
        """Write a table of a run to the file `to`."""
        names = {"run": run, "table": table.value, "table_format": table_format.value}
        self._fetch("export_run", names, to)

    def get_report(self, run: str, to: Path) -> None:
        """Write the report of a run to the file `to`."""
        self._fetch("get_report", {"run": run}, to)

    def submit_job(self, spec: JobSpec, *, idempotency_key: str | None = None) -> Job:
        """Start a job; a second call with the same key answers with the first one's."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        told = spec.model_dump(mode="json")
        return self._requests.ask(Job, OPERATIONS["submit_job"], json=told, headers=headers)

    def list_jobs(
        self,
        *,
        run: str | None = None,
        kind: JobKind | None = None,
        state: JobState | None = None,
    ) -> Iterator[Job]:
        """Jobs, the newest first."""
        return self._listed(JobPage, "list_jobs", {}, {"run": run, "kind": kind, "state": state})

    def get_job(self, job: str) -> Job:
        """A job, how far it is, and what came of it."""
        return self._requests.ask(Job, OPERATIONS["get_job"], {"job": job})

    def cancel_job(self, job: str) -> Job:
        """Stop a job that is not over."""
        return self._requests.ask(Job, OPERATIONS["cancel_job"], {"job": job})

    def follow_job(self, job: str) -> Iterator[Job]:
        """A job each time it has changed; ends when it is over or the service stops telling."""
        headers = {"Accept": JSON_LINES}
        with self._requests.opened(
            OPERATIONS["follow_job"], {"job": job}, headers=headers
        ) as response:
            for line in response.iter_lines():
                yield _change(line)

    def wait(self, job: str, progress: Callable[[Job], None] = lambda _: None) -> Job:
        """Wait until a job is over; it may be done, failed or cancelled.

        Args:
            job: its identifier.
            progress: called each time the job has changed.

        Raises:
            NeuroscribeError: the service cannot be reached any more.
        """
        while True:
            for each in self.follow_job(job):
                progress(each)
                if each.state.is_over:
                    return each

    def read_log(self, job: str, *, offset: int = 0) -> LogPart:
        """What a job has logged from `offset` bytes on."""
        return self._requests.ask(
            LogPart, OPERATIONS["read_log"], {"job": job}, params={"offset": offset}
        )

    def upload(self, path: Path, *, name: str | None = None) -> Upload:
        """Send the file of a corpus; a job names it as `upload:ID`.

        Args:
            path: of the file.
            name: what it is called, if not as on this machine; its ending says the format.
        """
        with path.open("rb") as handle:
            chunks = iter(lambda: handle.read(_CHUNK_BYTES), b"")
            return self.send_upload(name or path.name, chunks)

    def send_upload(self, name: str, chunks: Iterable[bytes]) -> Upload:
        """Send a corpus piece by piece."""
        params = {"name": name}
        return self._requests.ask(
            Upload, OPERATIONS["send_upload"], params=params, content=chunks, headers=_BINARY
        )

    def list_uploads(self) -> Iterator[Upload]:
        """Uploads, the newest first."""
        return self._listed(UploadPage, "list_uploads", {})

    def get_upload(self, upload: str, *, n_rows: int = 5) -> UploadAnswer:
        """An upload, its fields and first rows."""
        return self._requests.ask(
            UploadAnswer, OPERATIONS["get_upload"], {"upload": upload}, params={"n_rows": n_rows}
        )

    def delete_upload(self, upload: str) -> None:
        """Remove an upload."""
        self._requests.do(OPERATIONS["delete_upload"], {"upload": upload})

    def _listed(
        self,
        kind: type[Any],
        operation: str,
        names: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
    ) -> Iterator[Any]:
        """The items of all pages of a list; `kind` is the record of a page."""

        def page_of(asked: Mapping[str, Any]) -> Any:
            return self._requests.ask(kind, OPERATIONS[operation], names, params=asked)

        return self._requests.all_items(page_of, {"limit": PAGE, **(params or {})})

    def _fetch(self, operation: str, names: Mapping[str, str], to: Path) -> None:
        with (
            self._requests.opened(OPERATIONS[operation], names) as response,
            atomic_path(to) as partial,
            partial.open("wb") as handle,
        ):
            for chunk in response.iter_bytes():
                handle.write(chunk)


def _change(line: str) -> Job:
    """The job in a line of its events.

    Raises:
        NeuroscribeError: the line says why there will be no more.
    """
    change = _CHANGE.validate_json(line)
    if isinstance(change, JobProblem):
        raise named_error(change.error, change.message)
    return change
