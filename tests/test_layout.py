"""Rules of the layout that no linter checks."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import neuroscribe

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "service",
    "eval",
    "neurons",
    "descriptors",
    "indexer",
    "training",
    "tests",
    "benchmarks",
)
HEAVY = {
    *("torch", "transformers", "sentence_transformers", "faiss", "sklearn", "scipy"),
    *("plotly", "pandas", "pyarrow", "datasets", "numpy", "vllm", "openai", "llguidance"),
    *("h5py", "ray"),
}
PUBLIC_NAMES = [
    *("BackendError", "Client", "FinishedRun", "InputError", "NeuroscribeError", "RunError"),
    "RunSettings",
    *("evaluate", "explain_concept", "explain_neuron", "explain_text"),
    *("export_neurox", "export_table", "opened_engine", "plan", "read_corpus", "read_descriptors"),
    *("read_evaluation", "read_explanations", "read_labels", "read_neuron_groups"),
    *("read_neuron_statistics", "report", "run"),
]


def _sources() -> list[Path]:
    own = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [*own, ROOT / "neuroscribe.py"]


def test_no_file_imports_eval_itself() -> None:
    """`import eval` would hide the builtin."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import)
        and any(name.name.split(".")[0] == "eval" for name in node.names)
    ]
    assert found == []


def test_no_pickle_is_read_or_written() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and {"pickle", "joblib", "dill", "cloudpickle"}
        & {name.name.split(".")[0] for name in node.names}
    ]
    assert found == []


def test_tests_have_no_packages_and_unique_names() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "statement",
    [
        "import service.cli",
        "import neuroscribe",
        "from service.cli import run_command; run_command(['--help'])",
        "from service.cli import run_command; run_command(['run', '--help'])",
    ],
)
def test_command_line_and_face_load_nothing_heavy(statement: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded & HEAVY == set()


def test_public_names() -> None:
    assert sorted(neuroscribe.__all__) == PUBLIC_NAMES
    assert dir(neuroscribe) == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(neuroscribe, name)
    assert callable(found)
    assert found.__doc__


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        neuroscribe.nothing  # noqa: B018
