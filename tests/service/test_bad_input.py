"""Whatever is wrong with what the user gave: one clear line, an exit code, and nothing lost."""

import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service import cli
from service.run_directory import RunDirectory

# Where the tests run in the background of a shell, children would start with interrupts ignored.
MAIN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from service.cli import main; main()"
)
BYTES = random.Random(0).randbytes(4096)
UNSTABLE = {"timings.json", ".lock"}
# A text far longer than any sentence, and one that is too long only because nothing divides it.
LONG_LINE = json.dumps({"id": "long", "text": "word " * 2_000_000}).encode()
LONG_WORD = json.dumps({"id": "long", "text": "x" * 10_000_000}).encode()


@dataclass(frozen=True)
class Failed:
    code: int
    line: str


@pytest.fixture
def attempt(capfd: pytest.CaptureFixture[str]) -> Callable[..., Failed]:
    """Give arguments to the command line; it must fail with one line and nothing on stdout."""

    def run(*arguments: object) -> Failed:
        capfd.readouterr()
        code = cli.run_command([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        check_one_line(captured.out, captured.err)
        return Failed(code, captured.err)

    return run


def check_one_line(out: str, err: str) -> None:
    assert out == ""
    assert err.startswith("neuroscribe: error: ")
    assert err.count("\n") == 1, err
    assert err.endswith("\n")
    assert "Traceback" not in err
    assert "a fault of neuroscribe" not in err
    assert len(err) < 1000


def contents(out: Path) -> dict[str, bytes]:
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in UNSTABLE}


@pytest.fixture(scope="module")
def tiny(tiny_model: Callable[[str], Path]) -> tuple[str, ...]:
    """Options for a run that takes a second."""
    folder = str(tiny_model("bert"))
    models = ("--model", folder, "--encoder", folder, "--device", "cpu")
    return (*models, "--proposer", "keyphrase", "--groups", "embeddings", "--quiet")


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, review_corpus: Path, tiny: tuple[str, ...]
) -> Path:
    """A finished run that no test may change."""
    out = tmp_path_factory.mktemp("finished") / "run"
    assert cli.run_command(["run", "--corpus", str(review_corpus), "--out", str(out), *tiny]) == 0
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished run; whatever a test does, it must still hold the same bytes."""
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    before = contents(copy)
    yield copy
    assert contents(copy) == before


def with_line(line: bytes) -> Callable[[bytes], bytes]:
    return lambda reviews: reviews + line + b"\n"


def without_documents(reviews: bytes, n_texts: int) -> bytes:
    rows = [json.loads(line) for line in reviews.splitlines()[:n_texts]]
    return "".join(json.dumps({"text": row["text"]}) + "\n" for row in rows).encode()


def in_one_document(reviews: bytes) -> bytes:
    rows = [json.loads(line) for line in reviews.splitlines()]
    return "".join(json.dumps({**row, "document": "all"}) + "\n" for row in rows).encode()


CORPORA: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty file": ("a.jsonl", lambda _: b"", "is empty"),
    "blank lines only": ("a.txt", lambda _: b"\n \n\t\n", "are blank"),
    "wrong field": ("a.jsonl", lambda _: b'{"body": "x"}\n', "found the fields: 'body'"),
    "binary as JSON Lines": ("a.jsonl", lambda _: BYTES, "binary file"),
    "binary as text": ("a.txt", lambda _: BYTES, "binary file"),
    "binary as CSV": ("a.csv", lambda _: BYTES, "binary file"),
    "binary as Parquet": ("a.parquet", lambda _: BYTES, "cannot be read as Parquet"),
    "not gzip": ("a.jsonl.gz", lambda _: BYTES, "whole gzip file"),
    "cut gzip": ("a.jsonl.gz", lambda text: gzip.compress(text)[:900], "whole gzip file"),
    "no JSON": ("a.jsonl", lambda _: b"hello\n", "line 1: not JSON"),
    "JSON list": ("a.jsonl", lambda _: b"[1, 2]\n", "found a JSON list"),
    "number as text": ("a.jsonl", lambda _: b'{"text": 5}\n', "expected a string"),
    "half a surrogate pair": ("a.jsonl", with_line(rb'{"id": "s", "text": "\ud83d"}'), "surrogate"),
    "one sentence": ("a.txt", lambda _: b"It broke.\n", "no usable split"),
    "two sentences": ("a.txt", lambda _: b"It broke.\nIt is fine.\n", "no usable split"),
    "ten sentences": ("a.jsonl", lambda text: without_documents(text, 10), "no usable split"),
    "thirty sentences": ("a.jsonl", lambda text: without_documents(text, 30), "no usable split"),
    "one document": ("a.jsonl", in_one_document, "found 1 documents"),
    "duplicate ids": ("a.jsonl", lambda text: text + text.splitlines()[0], "every id once"),
    "10 MB line": ("a.jsonl", with_line(LONG_LINE), "has more than 1,000,000 bytes"),
    "10 MB word": ("a.jsonl", with_line(LONG_WORD), "has more than 1,000,000 bytes"),
    "broken UTF-8": ("a.jsonl", with_line(b'{"id": "u", "text": "caf\xe9"}'), "byte 0xe9"),
    "unknown format": ("a.docx", lambda _: b"hello", "unknown format '.docx'"),
}


@pytest.mark.parametrize("name", CORPORA)
def test_bad_corpora(
    name: str,
    attempt: Callable[..., Failed],
    out: Path,
    tmp_path: Path,
    review_corpus: Path,
    tiny: tuple[str, ...],
) -> None:
    file_name, content, said = CORPORA[name]
    source = tmp_path / file_name
    source.write_bytes(content(review_corpus.read_bytes()))
    failed = attempt("run", "--corpus", source, "--out", out, "--update", *tiny)
    assert failed.code == 2
    assert said in failed.line
    assert file_name in failed.line or "no usable split" in failed.line
    # The same into a folder of its own, where a mended corpus must then be welcome.
    fresh = tmp_path / "fresh"
    assert attempt("catalog", "build", "--corpus", source, "--out", fresh, *tiny) == failed
    assert contents(fresh) == {}
    mended = ("--corpus", str(review_corpus), "--out", str(fresh), *tiny, "--json")
    assert cli.run_command(["catalog", "build", *mended]) == 0


@pytest.mark.parametrize(
    ("corpus", "said"),
    [("nowhere.jsonl", "does not exist"), (".", "is a directory"), ("hf:", "hf:")],
)
def test_corpora_that_are_no_file(
    corpus: str, said: str, attempt: Callable[..., Failed], out: Path, tiny: tuple[str, ...]
) -> None:
    failed = attempt("run", "--corpus", corpus, "--out", out, "--update", *tiny)
    assert (failed.code, said in failed.line) == (2, True), failed.line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--proposer", "crystal-ball"), "what works: embedded, keyphrase"),
        (("--splits", "50/50"), "split '50/50'"),
        (("--splits", "50/0/50"), "split '50/0/50'"),
        (("--splits", "98/1/1"), "no usable split"),
        (("--seed", "-1"), "--seed"),
        (("--limit", "0"), "--limit"),
        (("--limit", "20"), "no usable split"),
        (("--site", "attn"), "--site: found 'attn'; Input should be 'ffn' or 'hidden'\n"),
        (("--text-field", "body"), "'body'"),
        (("--labels-field", "mood"), "'mood'"),
        (("--id-field", "product"), "every id once"),
        (("--encoding", "klingon"), "klingon"),
        (("--encoding", "utf-16"), "utf-16"),
        (("--frobnicate",), "No such option: --frobnicate"),
        (("--device", "abacus"), "--device"),
    ],
)
def test_bad_options(
    options: tuple[str, ...],
    said: str,
    attempt: Callable[..., Failed],
    out: Path,
    review_corpus: Path,
    tiny: tuple[str, ...],
) -> None:
    arguments = ("--corpus", review_corpus, "--out", out, "--update", *tiny, *options)
    failed = attempt("run", *arguments)
    assert (failed.code, said in failed.line) == (2, True), failed.line


def save_gpt2(folder: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 300}
    tokens = {"bos_token_id": 1, "eos_token_id": 2}
    GPT2Model(GPT2Config(**sizes, **tokens)).save_pretrained(folder)


def pickle_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def unknown_architecture(folder: Path) -> None:
    configuration = json.loads((folder / "config.json").read_text())
    configuration.update(model_type="frobnicator", architectures=["FrobnicatorModel"])
    (folder / "config.json").write_text(json.dumps(configuration))


def lose(pattern: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return remove


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (save_gpt2, "gpt2"),
        (unknown_architecture, "frobnicator"),
        (pickle_weights, "no safetensors weights"),
        (cut_weights, "cannot be loaded"),
        (lose("config.json"), "no config.json"),
        (lose("tokenizer.json"), "no tokenizer vocabulary"),
        (lose("*"), "no config.json"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("option", ["--model", "--encoder"])
def test_bad_models(
    damage: Callable[[Path], None],
    said: str,
    option: str,
    attempt: Callable[..., Failed],
    out: Path,
    tmp_path: Path,
    review_corpus: Path,
    tiny_model: Callable[[str], Path],
    tiny: tuple[str, ...],
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model("bert"), folder)
    damage(folder)
    if damage is save_gpt2 and option == "--encoder":
        pytest.skip("any model that gives vectors can encode sentences")
    arguments = ("--corpus", review_corpus, "--out", out, "--update", *tiny, option, folder)
    failed = attempt("run", *arguments)
    assert failed.code == 2
    assert str(folder) in failed.line or damage is save_gpt2
    if option == "--model":
        assert said in failed.line


@pytest.mark.parametrize("option", ["--model", "--encoder"])
@pytest.mark.parametrize("name", ["./nothing-here", "nobody/no-such-model"])
def test_unknown_models(
    name: str,
    option: str,
    attempt: Callable[..., Failed],
    out: Path,
    review_corpus: Path,
    tiny: tuple[str, ...],
) -> None:
    arguments = ("--corpus", review_corpus, "--out", out, "--update", *tiny, option, name)
    failed = attempt("run", *arguments)
    assert (failed.code, name in failed.line, "bundled" in failed.line) == (2, True, True)


def test_a_run_of_other_settings_is_kept(
    attempt: Callable[..., Failed], out: Path, review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    for options, said in (
        (("--seed", "3"), "seed (found 0, wanted 3)"),
        (("--model", "bundled"), "wanted 'bundled'"),
        (("--limit", "200"), "reading.limit (found None, wanted 200)"),
        (("--corpus", "sample"), "wanted 'sample'"),
    ):
        arguments = ("--corpus", review_corpus, "--out", out, *tiny, *options)
        failed = attempt("run", *arguments)
        assert (failed.code, said in failed.line, "--update" in failed.line) == (2, True, True)


def test_out_that_is_no_run_is_kept(
    attempt: Callable[..., Failed], tmp_path: Path, review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.partial").write_text("years of work")
    for place, said in (
        (thesis, "not a neuroscribe run"),
        (thesis / "chapter.partial", "is a file"),
        (thesis / "chapter.partial" / "run", "cannot make the run folder"),
        (Path("/proc/nobody/may"), "cannot make the run folder"),
    ):
        failed = attempt("run", "--corpus", review_corpus, "--out", place, *tiny)
        assert (failed.code, said in failed.line) == (2, True), failed.line
    assert [path.name for path in thesis.iterdir()] == ["chapter.partial"]
    assert (thesis / "chapter.partial").read_text() == "years of work"


@contextmanager
def powerless() -> Iterator[None]:
    """Without the rights of the administrator, to whom nothing is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_read_only_out(
    attempt: Callable[..., Failed], review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for mode, place in ((0o555, folder), (0o555, folder / "new"), (0o000, folder / "new")):
            folder.chmod(mode)
            with powerless():
                failed = attempt("run", "--corpus", review_corpus, "--out", place, *tiny)
            assert failed.code == 2
            assert "Permission denied; choose an --out that you may write to" in failed.line
        folder.chmod(0o755)
        assert list(folder.iterdir()) == []


def test_a_corpus_that_may_not_be_read(
    attempt: Callable[..., Failed], review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        source = Path(shutil.copy(review_corpus, folder))
        source.chmod(0)
        bundled = ("--model", "bundled", "--encoder", "bundled")
        with powerless():
            arguments = ("--corpus", source, "--out", folder / "run", *tiny, *bundled)
            failed = attempt("catalog", "build", *arguments)
        assert (failed.code, "Permission denied" in failed.line) == (2, True), failed.line


def test_questions_that_a_run_cannot_answer(
    attempt: Callable[..., Failed], out: Path, tmp_path: Path
) -> None:
    unfinished = Path(shutil.copytree(out, tmp_path / "unfinished"))
    (unfinished / "manifest.json").unlink()
    damaged = Path(shutil.copytree(out, tmp_path / "damaged"))
    (damaged / "manifest.json").write_text('{"format_version": 1}')
    for what, run, code, said in (
        ("L9.ffn.0", out, 2, "no neuron L9.ffn.0"),
        ("L0.ffn.48", out, 2, "L0.ffn (units 0 to 47)"),
        ("L0.attn.1", out, 2, "ffn or hidden"),
        ("", out, 2, "blank"),
        ("L0.ffn.0", tmp_path / "nowhere", 2, "not a run"),
        ("L0.ffn.0", unfinished, 3, "not complete"),
        ("L0.ffn.0", damaged, 3, "manifest.json is damaged"),
    ):
        flag = ("--neuron",) if "attn" in what else ()
        failed = attempt("explain", what, "--run", run, *flag)
        assert (failed.code, said in failed.line) == (code, True), failed.line
    for command in ("evaluate", "report"):
        assert attempt(command, unfinished).code == 3
        assert attempt(command, tmp_path).code == 2


@pytest.mark.parametrize("n_texts", [2, 10, 30, 60, 66, 72, 80, 100, 120])
def test_few_texts_give_a_clear_error_or_a_whole_run(
    n_texts: int,
    tmp_path: Path,
    review_corpus: Path,
    tiny: tuple[str, ...],
    capfd: pytest.CaptureFixture[str],
) -> None:
    source, out = tmp_path / "few.jsonl", tmp_path / "run"
    source.write_bytes(without_documents(review_corpus.read_bytes(), n_texts))
    options = ("--splits", "34/33/33", "--out", str(out), *tiny, "--json")
    code = cli.run_command(["run", "--corpus", str(source), *options])
    captured = capfd.readouterr()
    if code == 0:
        assert json.loads(captured.out)["complete"]
        assert captured.err == ""
        assert n_texts >= 60
    else:
        check_one_line(captured.out, captured.err)
        assert code == 2
        assert n_texts <= 72


DEGENERATE = {
    "all alike": ["The battery is good."],
    "two texts": ["The battery is good.", "The phone is late."],
    "stop words": ["the and or", "is was not", "of to in a"],
    "no letters": ["!!!", "...", "😀😀", "12", "7 7 7"],
    "unknown script": ["电池很好", "送货太慢了", "客服很棒", "屏幕坏了"],
    "markup": ["<script>alert(1)</script>", "</html><b>", "a & b < c", '"quoted" \\ {{ 7 }}'],
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_texts_that_say_nothing_give_a_whole_run(
    name: str, tmp_path: Path, tiny: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    texts = DEGENERATE[name]
    source, out = tmp_path / "texts.jsonl", tmp_path / "run"
    rows = [
        {"text": texts[place % len(texts)], "labels": [f"kind:{place % 2}</script>", "all"]}
        for place in range(120)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code = cli.run_command(["run", "--corpus", str(source), "--out", str(out), *tiny, "--json"])
    captured = capfd.readouterr()
    assert (code, captured.err) == (0, "")
    assert json.loads(captured.out)["complete"]
    assert "alert(1)</script>" not in (out / "report.html").read_text(encoding="utf-8")


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """As on a full disk, no file grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_wherever_the_disk_is_full_stages_are_kept_and_the_run_goes_on(
    finished: Path,
    tmp_path: Path,
    review_corpus: Path,
    tiny: tuple[str, ...],
    attempt: Callable[..., Failed],
    monkeypatch: pytest.MonkeyPatch,
    run_stages: tuple[str, ...],
) -> None:
    """Full in the middle of a stage's large files, and from the first byte of any on."""
    out = tmp_path / "run"
    arguments = ("run", "--corpus", review_corpus, "--out", out, *tiny)
    with files_of_at_most(5_000):
        check_no_room(attempt(*arguments))
    assert contents(out) == {}
    for number, stage in enumerate(run_stages):
        for n_bytes in (10_000, 100) if has_large_files(finished, stage) else (100,):
            before = contents(out)
            with monkeypatch.context() as patch:
                patch.setattr(RunDirectory, "stage", without_room(stage, n_bytes))
                check_no_room(attempt(*arguments))
            found = contents(out)
            done = {name for name in found if re.fullmatch("stages/[a-z_-]+[.]json", name)}
            assert done == {f"stages/{name}.json" for name in run_stages[:number]}
            assert all(found[name] == before[name] for name in done & set(before))
    finish = RunDirectory.finish

    def without_room_for_the_manifest(run: RunDirectory, **arguments: Any) -> Any:
        with files_of_at_most(100):
            return finish(run, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "finish", without_room_for_the_manifest)
        check_no_room(attempt(*arguments))
    assert not (out / "manifest.json").exists()
    assert cli.run_command([str(argument) for argument in arguments]) == 0
    assert contents(out) == contents(finished)


def check_no_room(failed: Failed) -> None:
    assert failed.code == 3
    assert "File too large" in failed.line
    assert "again" in failed.line or "finished stages are kept" in failed.line


def has_large_files(finished: Path, stage: str) -> bool:
    """The corpus is written before its stage, and then only moved."""
    record = json.loads((finished / "stages" / f"{stage}.json").read_text())
    written = [finished / name for name in record["outputs"]]
    large = any(path.is_dir() or path.stat().st_size > 10_000 for path in written)
    return large and stage != "corpus"


def without_room(full: str, n_bytes: int) -> Callable[..., Any]:
    """`RunDirectory.stage` with too little room for the files of one stage."""
    stage = RunDirectory.stage

    def limited(run: RunDirectory, name: str, *arguments: Any) -> Any:
        if name != full:
            return stage(run, name, *arguments)
        with files_of_at_most(n_bytes):
            return stage(run, name, *arguments)

    return limited


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=400k tmpfs "$0" || exit 77
"$@" --out "$0/run"
first=$?
ls "$0/run/stages" >&2
mount -o remount,size=64m "$0"
"$@" --out "$0/run" && cp -r "$0/run" "$0-copy"
exit $((10 * first + $?))
"""


@pytest.mark.slow
def test_a_really_full_disk(
    finished: Path, tmp_path: Path, review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    private = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
    command = [sys.executable, "-c", MAIN, "run", "--corpus", str(review_corpus), *tiny]
    done = subprocess.run(
        [*private, "sh", "-c", ON_A_SMALL_DISK, str(disk), *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no disk may be mounted here")
    assert done.returncode == 30, done.stderr
    line, *stages = done.stderr.splitlines()
    check_one_line("", line + "\n")
    assert "No space left on device" in line
    assert "embed.json" in stages
    assert "report.json" not in stages
    assert contents(Path(f"{disk}-copy")) == contents(finished)


@pytest.mark.slow
def test_interrupting_a_run_loses_no_stage(
    finished: Path, tmp_path: Path, review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", MAIN, "run", "--corpus", str(review_corpus), *tiny]
    process = subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    while process.poll() is None and not (out / "stages" / "corpus.json").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    written, complained = process.communicate(timeout=60)
    assert process.returncode == 130, complained
    check_one_line(written, complained)
    assert "the same command continues" in complained
    assert not (out / "manifest.json").exists()
    assert cli.run_command([*command[3:], "--out", str(out)]) == 0
    assert contents(out) == contents(finished)


@pytest.mark.slow
def test_the_installed_command_answers_with_its_exit_code_and_one_line(
    out: Path, tmp_path: Path, review_corpus: Path, tiny: tuple[str, ...]
) -> None:
    """In a process of its own, where libraries could write to stderr behind our back."""
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for arguments, code in (
        (("run", "--corpus", str(empty), "--out", str(out), "--update"), 2),
        (("explain", "L0.ffn.0", "--run", str(tmp_path)), 2),
        (("run", "--corpus", str(review_corpus), "--out", "/proc/nobody/may", *tiny), 2),
    ):
        done: Any = subprocess.run(
            [Path(sys.executable).with_name("neuroscribe"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            cwd=tmp_path,
        )
        assert done.returncode == code, done.stderr
        check_one_line(done.stdout, done.stderr)
