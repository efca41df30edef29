"""Stages are reused exactly when nothing changed, and a killed run resumes to the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.errors import InputError, RunError
from service import stages
from service.run_directory import RunDirectory
from service.stages import StageRecord, output_fingerprint

SETTINGS = {"corpus": "sample", "model": "bundled", "encoder": "bundled", "seed": 0, "extra": 1}

KILLED_RUNS = """
import os, signal, sys
from pathlib import Path
from indexer.storage import atomic_path
from service.run_directory import RunDirectory

# A killed process, unlike a power cut, loses nothing it has written: skip the waiting.
os.fsync = lambda handle: None

SETTINGS = {"corpus": "sample", "model": "bundled", "encoder": "bundled", "seed": 0}

def write(path, text):
    with atomic_path(path) as partial:
        partial.write_text(text)

def units(folder, key):
    # Resumes like the activation store: finished files are kept if the journal knows them.
    journal = folder / "journal"
    folder.mkdir(exist_ok=True)
    done = journal.read_text().split() if journal.exists() else []
    for name in ("u0", "u1", "u2"):
        if name not in done:
            write(folder / name, f"{key} {name} " * 50)
            done.append(name)
            write(journal, " ".join(done))
    return {"units": len(done)}

def pipeline(out, scale):
    run = RunDirectory.create(out)
    run.begin({**SETTINGS, "scale": scale})
    first = run.stage("read", {"scale": scale}, ["corpus.txt"],
                      lambda: write(out / "corpus.txt", "sentence " * scale))
    run.stage("extract", dict(first.outputs), ["units"], lambda: units(out / "units", scale))
    run.finish(fingerprints={"corpus": first.outputs["corpus.txt"]}, seeds={"run": 0})
    run.close()

def content(out):
    paths = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in paths
            if path.name not in {"timings.json", ".lock"}}

def die_at(event):
    seen = [0]
    def hook(name, arguments):
        watched = name in {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
        if watched and os.fspath(root) in str(arguments[0]):
            seen[0] += 1
            if seen[0] == event:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def killed(event, out, scale):
    child = os.fork()
    if child == 0:
        die_at(event)
        pipeline(out, scale)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status)

root = Path(sys.argv[1])
undisturbed = {}
for scale in (3, 4):
    pipeline(root / f"undisturbed-{scale}", scale)
    undisturbed[scale] = content(root / f"undisturbed-{scale}")
event, kills = 0, 0
while True:
    event += 1
    out = root / f"killed-{event}"
    before = (3, 4)[event % 2]
    if not killed(event, out, before):
        break
    kills += 1
    resumed = 4
    pipeline(out, resumed)
    found = content(out)
    if found != undisturbed[resumed]:
        names = [name for name in {*found, *undisturbed[resumed]}
                 if found.get(name) != undisturbed[resumed].get(name)]
        sys.exit(f"killed at event {event}: other bytes in {names}")
print(kills)
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def begun(
    out: Path, settings: dict[str, object] | None = None, update: bool = False
) -> RunDirectory:
    run = RunDirectory.create(out)
    run.begin(settings or SETTINGS, update=update)
    return run


def write_number(run: RunDirectory, number: int, calls: list[int]) -> StageRecord:
    def action() -> dict[str, tuple[int, int]]:
        calls.append(number)
        (run.path / "number.txt").write_text(str(number))
        return {"pair": (number, number)}

    return run.stage("number", {"number": number}, ["number.txt"], action)


def finished(out: Path) -> None:
    run = begun(out)
    write_number(run, 1, [])
    run.finish(fingerprints={"corpus": "abc"}, seeds={"run": 0})
    run.close()


def test_killed_at_every_file_operation_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """Every odd kill has the same settings as the resumed run, every even kill others."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_RUNS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


def test_unchanged_stage_is_reused_with_the_same_result(out: Path) -> None:
    calls: list[int] = []
    run = begun(out)
    first = write_number(run, 1, calls)
    run.close()
    run = begun(out)
    again = write_number(run, 1, calls)
    assert calls == [1]
    assert again == first
    assert first.result == {"pair": [1, 1]}
    assert (run.reused, run.recomputed) == (["number"], [])


def test_other_inputs_redo_the_stage_from_empty_outputs(out: Path) -> None:
    calls: list[int] = []
    run = begun(out)
    write_number(run, 1, calls)

    def action() -> None:
        assert not (out / "number.txt").exists()
        (out / "number.txt").write_text("2")

    run.stage("number", {"number": 2}, ["number.txt"], action)
    assert run.recomputed == ["number", "number"]


@pytest.mark.parametrize("damage", ["remove", "truncate", "edit"])
def test_damaged_output_is_redone(out: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    run = begun(out)
    write_number(run, 1, calls)
    path = out / "number.txt"
    if damage == "remove":
        path.unlink()
    else:
        path.write_text("" if damage == "truncate" else "7")
    write_number(run, 1, calls)
    assert calls == [1, 1]
    assert path.read_text() == "1"
    assert "number.txt" in caplog.text


def test_interrupted_action_keeps_what_it_wrote_for_the_same_inputs_only(tmp_path: Path) -> None:
    seen: list[bool] = []

    def interrupted() -> None:
        (out / "half").write_text("half")
        raise KeyboardInterrupt

    def resumed() -> None:
        seen.append((out / "half").exists())
        (out / "half").write_text("whole")

    for inputs in ({"a": 1}, {"a": 2}):
        out = tmp_path / str(inputs["a"])
        run = begun(out)
        with pytest.raises(KeyboardInterrupt):
            run.stage("s", {"a": 1}, ["half"], interrupted)
        run.stage("s", inputs, ["half"], resumed)
        run.close()
    assert seen == [True, False]


def test_manifest_means_complete(out: Path) -> None:
    finished(out)
    assert RunDirectory.open(out).manifest().stages["number"].result == {"pair": [1, 1]}
    run = begun(out)
    write_number(run, 2, [])
    run.close()
    with pytest.raises(RunError, match="run the same `neuroscribe run` again"):
        RunDirectory.open(out)


def test_manifest_is_kept_when_nothing_is_redone(out: Path) -> None:
    finished(out)
    before = (out / "manifest.json").read_bytes()
    finished(out)
    assert (out / "manifest.json").read_bytes() == before
    manifest = json.loads(before)
    assert manifest["settings"] == SETTINGS
    assert {"python", "torch", "neuroscribe"} <= set(manifest["versions"])


def test_other_identity_is_refused_naming_each_setting(out: Path) -> None:
    finished(out)
    other = {**SETTINGS, "corpus": "mine.csv", "seed": 3}
    run = RunDirectory.create(out)
    with pytest.raises(InputError) as raised:
        run.begin(other)
    message = str(raised.value)
    assert "corpus (found 'sample', wanted 'mine.csv')" in message
    assert "seed (found 0, wanted 3)" in message
    assert "--update" in message
    assert (out / "manifest.json").is_file()
    run.begin(other, update=True)
    assert run.settings() == other


def test_nested_reading_settings_are_named_one_by_one(out: Path) -> None:
    begun(out, {**SETTINGS, "reading": {"text_field": "text", "limit": None}}).close()
    run = RunDirectory.create(out)
    with pytest.raises(InputError, match=r"reading\.limit \(found None, wanted 5\)") as raised:
        run.begin({**SETTINGS, "reading": {"text_field": "text", "limit": 5}})
    assert "text_field" not in str(raised.value)


def test_other_settings_outside_the_identity_are_taken(out: Path) -> None:
    finished(out)
    run = begun(out, {**SETTINGS, "extra": 2})
    assert run.settings()["extra"] == 2


def test_second_writer_is_refused(out: Path) -> None:
    run = begun(out)
    with pytest.raises(RunError, match="another process is writing"):
        RunDirectory.create(out)
    run.close()
    begun(out).close()


def test_foreign_folder_and_file_are_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not a neuroscribe run"):
        RunDirectory.create(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        RunDirectory.create(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_open_refuses_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run"):
        RunDirectory.open(tmp_path)


def test_reader_cannot_write(out: Path) -> None:
    finished(out)
    with pytest.raises(ValueError, match="opened for reading"):
        RunDirectory.open(out).begin(SETTINGS)


def test_full_disk_in_a_stage_is_a_run_error_and_keeps_earlier_stages(out: Path) -> None:
    run = begun(out)
    write_number(run, 1, [])

    def action() -> None:
        with Path("/dev/full").open("w") as handle:
            handle.write("x" * 100_000)

    with pytest.raises(RunError, match=r"stage big failed: .*No space left"):
        run.stage("big", {}, ["big"], action)
    assert set(run.stages()) == {"number"}


def test_stage_that_writes_nothing_is_an_error(out: Path) -> None:
    run = begun(out)
    with pytest.raises(RunError, match="did not write"):
        run.stage("lazy", {}, ["never.txt"], lambda: None)


def test_damaged_record_names_its_file(out: Path) -> None:
    finished(out)
    (out / "stages" / "number.json").write_text('{"name": "number"}')
    run = begun(out)
    with pytest.raises(RunError, match=r"number\.json is damaged"):
        write_number(run, 1, [])


def test_large_files_are_recognised_by_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "WHOLE_FILE_BYTES", 1)
    path = tmp_path / "activations.npy"
    path.write_bytes(b"\1" * 30_000_000)
    whole = output_fingerprint(path)
    assert whole.startswith("blocks-sha256:")
    with path.open("r+b") as handle:
        handle.seek(15_000_000)
        handle.write(b"\0" * (30_000_000 // 256))
    assert output_fingerprint(path) != whole
    path.write_bytes(b"\1" * 29_999_999)
    assert output_fingerprint(path) != whole


def test_folder_fingerprint_sees_names_and_contents(tmp_path: Path) -> None:
    seen = set()
    for name, text in (("a", "x"), ("a", "y"), ("b", "y"), ("c/d", "y")):
        folder = tmp_path / str(len(seen))
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
        seen.add(output_fingerprint(folder))
    assert len(seen) == 4
