"""Jobs are accepted, told and listed alike on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from indexer.errors import BackendError, InputError, NotFoundError
from service.jobs.job_files import JobFiles
from service.jobs.job_queue import JobQueue
from service.jobs.records import (
    CatalogJob,
    EvaluateJob,
    ExplainJob,
    JobKind,
    JobState,
    RebuildJob,
    RunJob,
)
from service.service_settings import ServiceSettings
from service.settings import RunSettings


def test_job_comes_back_as_it_was_told(queue: JobQueue) -> None:
    told = RunSettings.model_validate({"corpus": "sample", "proposers": ("keyphrase",)})
    for spec in (
        RunJob(run="a", settings=told, update=True),
        CatalogJob(run="a", settings=told),
        ExplainJob(run="b"),
        EvaluateJob(run="b", protocols=("planted",), again=True),
        RebuildJob(run="c"),
    ):
        job = queue.get(queue.submit(spec).id)
        assert job.spec == spec
        assert (job.kind, job.run, job.state) == (spec.kind, spec.run, JobState.QUEUED)
        assert timedelta(0) <= datetime.now(UTC) - job.created_at < timedelta(minutes=1)
        assert job.started_at is None
        assert job.finished_at is None
        assert job.problem is None
        assert job.result is None


def test_same_key_is_the_same_job_and_never_another(queue: JobQueue) -> None:
    first = queue.submit(RebuildJob(run="a"), key="k-1")
    assert queue.submit(RebuildJob(run="a"), key="k-1").id == first.id
    assert queue.submit(RebuildJob(run="a"), key="k-2").id != first.id
    assert queue.submit(RebuildJob(run="a")).id != first.id
    with pytest.raises(InputError, match=r"'k-1' was used for another job \(rebuild of a\)"):
        queue.submit(RebuildJob(run="b"), key="k-1")
    queue.cancel(first.id)
    assert queue.submit(RebuildJob(run="a"), key="k-1").id == first.id
    assert len(queue.list()) == 3


def test_same_key_from_many_at_once_is_one_job(queue: JobQueue) -> None:
    ids: list[str] = []

    def submit() -> None:
        ids.append(queue.submit(RebuildJob(run="a"), key="once").id)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert len(queue.list()) == 1


def test_jobs_are_listed_newest_first_a_page_at_a_time(queue: JobQueue) -> None:
    specs = [RebuildJob(run=f"r{number % 3}") for number in range(9)]
    ids = [queue.submit(spec).id for spec in specs][::-1]
    assert [job.id for job in queue.list()] == ids
    pages = [queue.list(limit=4)]
    while pages[-1]:
        queue.submit(ExplainJob(run="later"))
        pages.append(queue.list(limit=4, after=pages[-1][-1].id))
    assert [job.id for page in pages for job in page] == ids
    assert [job.id for job in queue.list(kind=JobKind.REBUILD, limit=2, offset=7)] == ids[7:]
    assert {job.run for job in queue.list(run="r1")} == {"r1"}
    assert len(queue.list(run="r1")) == 3
    assert len(queue.list(kind=JobKind.EXPLAIN, run="later")) == len(pages) - 1
    assert queue.list(kind=JobKind.EVALUATE) == []
    queue.cancel(ids[0])
    assert [job.id for job in queue.list(state=JobState.CANCELLED)] == [ids[0]]
    assert ids[0] not in {job.id for job in queue.list(state=JobState.QUEUED)}
    with pytest.raises(NotFoundError, match="there is no job 'nobody'"):
        queue.list(after="nobody")


def test_queued_job_is_cancelled_at_once_and_once(queue: JobQueue) -> None:
    job = queue.cancel(queue.submit(RebuildJob(run="a")).id)
    assert job.state is JobState.CANCELLED
    assert job.finished_at is not None
    with pytest.raises(InputError, match="is cancelled already"):
        queue.cancel(job.id)


def test_cancelled_job_counts_as_running_until_its_process_is_gone(
    queue: JobQueue, service_settings: ServiceSettings
) -> None:
    job = queue.submit(RebuildJob(run="a"))
    with JobFiles.of(service_settings.workspace, job.id).held():
        assert queue.cancel(job.id).state is JobState.RUNNING
        assert [each.id for each in queue.list(state=JobState.RUNNING)] == [job.id]
        assert queue.list(state=JobState.CANCELLED) == []
    assert queue.get(job.id).state is JobState.CANCELLED
    assert queue.list(state=JobState.RUNNING) == []


@pytest.mark.parametrize("job_id", ["nobody", "", "../../etc", "a\x00b", "x" * 500])
def test_unknown_job_is_not_found(queue: JobQueue, job_id: str) -> None:
    for ask in (queue.get, queue.cancel, queue.log):
        with pytest.raises(NotFoundError, match="there is no job"):
            ask(job_id)


def test_log_is_read_in_whole_lines(queue: JobQueue, service_settings: ServiceSettings) -> None:
    job = queue.submit(RebuildJob(run="a"))
    assert queue.log(job.id).lines == ()
    log = JobFiles.of(service_settings.workspace, job.id).log
    log.parent.mkdir(parents=True)
    log.write_text('{"a": "\u2028é"}\n{"b": 1}\n{"c"', encoding="utf-8")
    part = queue.log(job.id)
    assert part.lines == ('{"a": "\u2028é"}', '{"b": 1}')
    assert not part.is_all
    with log.open("a") as handle:
        handle.write(": 2}\n")
    rest = queue.log(job.id, offset=part.next_offset)
    assert rest.lines == ('{"c": 2}',)
    assert rest.is_all
    assert queue.log(job.id, offset=rest.next_offset).lines == ()
    short = queue.log(job.id, limit=3)
    assert short.lines == ('{"a": "\u2028é"}',)
    assert queue.log(job.id, offset=10**6).lines == ()


def test_pickle_in_a_row_is_never_read(queue: JobQueue, service_settings: ServiceSettings) -> None:
    job = queue.submit(RebuildJob(run="a"))
    # What `pickle.dumps` makes of an object that calls `print` when it is read, in base64.
    code = "gASVIAAAAAAAAACMCGJ1aWx0aW5zlIwFcHJpbnSUk5SMA3B3bpSFlFKULg=="
    engine = create_engine(service_settings.database)
    prefix = "" if engine.name == "sqlite" else "dbos."
    with engine.begin() as connection:
        change = f"UPDATE {prefix}workflow_status SET serialization = 'py_pickle'"
        connection.execute(text(change))
        change = f"UPDATE {prefix}workflow_input SET inputs = :code"
        connection.execute(text(change), {"code": code})
    engine.dispose()
    with pytest.raises(BackendError, match="was not written by this version"):
        queue.get(job.id)


def test_pickle_cannot_be_read_or_written_by_dbos_in_this_process(queue: JobQueue) -> None:
    from dbos._serialization import DBOSDefaultSerializer, DefaultSerializer, deserialize_value

    assert queue.healthy()
    for serializer in (DBOSDefaultSerializer, DefaultSerializer()):
        with pytest.raises(BackendError, match="holds a pickle"):
            serializer.serialize({"a": 1})
    with pytest.raises(BackendError, match="holds a pickle"):
        deserialize_value("gASVIA==", "py_pickle", DefaultSerializer())
