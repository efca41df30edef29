from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import RunError
from neurons.records import LayerSite, Pooling, Site
from neurons.store import (
    ExtractionReport,
    HalfArray,
    StoredSite,
    StoreLayout,
)
from neurons.store_writer import StoreWriter

FFN = LayerSite(0, Site.FFN)
HIDDEN = LayerSite(1, Site.HIDDEN)
UNITS = {FFN: 5, HIDDEN: 3}
LAYOUT = StoreLayout(
    key="first",
    n_sentences=10,
    window_sentences=4,
    pooling=Pooling.MAX,
    sites=(
        StoredSite(layer=0, site=Site.FFN, units=5),
        StoredSite(layer=1, site=Site.HIDDEN, units=3),
    ),
)


def full_array(layer_site: LayerSite, seed: int = 0) -> HalfArray:
    generator = np.random.default_rng([seed, layer_site.layer])
    return generator.normal(size=(10, UNITS[layer_site])).astype(np.float16)


def write(folder: Path, layout: StoreLayout = LAYOUT, seed: int = 0) -> StoreWriter:
    """Write every window that is not yet there, and finish."""
    writer = StoreWriter.open(folder, layout)
    step = layout.window_sentences
    for first in range(writer.windows_done * step, layout.n_sentences, step):
        rows = slice(first, first + step)
        window = {site: full_array(site, seed)[rows] for site in UNITS}
        writer.write_window(window, ExtractionReport(sentences=len(window[FFN]), tokens=first + 1))
    writer.finish(None)
    return writer


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    "other",
    [
        LAYOUT.model_copy(update={"key": "second"}),
        LAYOUT.model_copy(update={"window_sentences": 5}),
        LAYOUT.model_copy(update={"pooling": Pooling.MEAN}),
    ],
    ids=["key", "windows", "pooling"],
)
def test_a_store_of_another_layout_is_replaced(other: StoreLayout, tmp_path: Path) -> None:
    write(tmp_path / "fresh", other, seed=1)
    interrupted = StoreWriter.open(tmp_path / "again", LAYOUT)
    interrupted.write_window(
        {site: full_array(site)[:4] for site in UNITS}, ExtractionReport(sentences=4)
    )
    write(tmp_path / "again", other, seed=1)
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("damage", ["journal", "array"])
def test_an_unfinished_store_that_is_damaged_starts_over(damage: str, tmp_path: Path) -> None:
    write(tmp_path / "fresh")
    writer = StoreWriter.open(tmp_path / "again", LAYOUT)
    writer.write_window({site: full_array(site)[:4] for site in UNITS}, ExtractionReport())
    if damage == "journal":
        (tmp_path / "again" / "journal.json").write_text('{"windows_done": ')
    else:
        os.truncate(tmp_path / "again" / "L0.ffn.npy.partial", 100)
    assert StoreWriter.open(tmp_path / "again", LAYOUT).windows_done == 0
    write(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh")


def test_a_window_of_the_wrong_shape_is_a_mistake(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path, LAYOUT)
    with pytest.raises(ValueError, match=r"L0.ffn: window 0 .*expected float16 \(4, 5\)"):
        writer.write_window({site: full_array(site)[:3] for site in UNITS}, ExtractionReport())


def test_a_full_disk_is_told_before_any_work(tmp_path: Path) -> None:
    huge = LAYOUT.model_copy(update={"n_sentences": 100_000})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(RunError, match=r"cannot reserve 0\.00 GB for the activations"):
            StoreWriter.open(tmp_path / "store", huge)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path / "store") == {}


def test_space_is_reserved_at_the_start(tmp_path: Path) -> None:
    StoreWriter.open(tmp_path, LAYOUT.model_copy(update={"n_sentences": 100_000}))
    found = (tmp_path / "L0.ffn.npy.partial").stat()
    assert found.st_size >= 100_000 * 5 * 2
    assert found.st_blocks * 512 >= 100_000 * 5 * 2


def test_a_file_that_vanishes_is_a_run_error(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path, LAYOUT)
    (tmp_path / "L0.ffn.npy.partial").unlink()
    with pytest.raises(RunError, match=r"cannot write .*L0\.ffn\.npy\.partial"):
        writer.write_window({site: full_array(site)[:4] for site in UNITS}, ExtractionReport())


def test_the_journal_never_runs_ahead_of_the_data(tmp_path: Path) -> None:
    writer = StoreWriter.open(tmp_path, LAYOUT)
    order: list[str] = []
    synchronize, rename = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        order.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        synchronize(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        order.append(f"rename to {Path(target).name}")
        rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", noted_fsync)
        patch.setattr(os, "replace", noted_replace)
        writer.write_window({site: full_array(site)[:4] for site in UNITS}, ExtractionReport())
    assert order == [
        "L0.ffn.npy.partial",
        "L1.hidden.npy.partial",
        "journal.json.partial",
        "rename to journal.json",
    ]


def test_a_resumed_writer_keeps_the_complete_windows(tmp_path: Path) -> None:
    first = StoreWriter.open(tmp_path, LAYOUT)
    first.write_window(
        {site: full_array(site)[:4] for site in UNITS}, ExtractionReport(sentences=4, tokens=1)
    )
    resumed = StoreWriter.open(tmp_path, LAYOUT)
    assert resumed.windows_done == 1
    assert resumed.journal.report == ExtractionReport(sentences=4, tokens=1)
    assert json.loads((tmp_path / "journal.json").read_text())["windows_done"] == 1


def _write_until_killed(folder: Path, event: int) -> int:
    """Write in a child process that kills itself before its `event`-th step on the disk."""
    child = os.fork()
    if child == 0:
        steps = 0

        def counted(step: object) -> object:
            def run(*arguments: object) -> object:
                nonlocal steps
                steps += 1
                if steps == event:
                    os.kill(os.getpid(), signal.SIGKILL)
                return step(*arguments)  # type: ignore[operator]

            return run

        for name in ("fsync", "replace", "posix_fallocate", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        try:
            write(folder)
        finally:
            os._exit(0 if (folder / "manifest.json").exists() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("before", ["nothing", "a store of another key"])
def test_killed_at_any_step_it_ends_with_the_same_bytes(before: str, tmp_path: Path) -> None:
    write(tmp_path / "undisturbed")
    expected = contents(tmp_path / "undisturbed")
    killed = 0
    for event in range(1, 100):
        folder = tmp_path / f"killed-{event}"
        if before != "nothing":
            write(folder, LAYOUT.model_copy(update={"key": "older"}), seed=9)
        code = _write_until_killed(folder, event)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        write(folder)
        assert contents(folder) == expected, f"killed before step {event}"
    assert killed >= 14
