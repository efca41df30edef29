import json
import math
from pathlib import Path

import pytest

from eval.evaluation_file import read_evaluation, write_evaluation
from eval.records import Figure
from indexer.errors import RunError

_KEYS = {
    *("protocol", "variant", "metric", "k", "split", "facet"),
    *("value", "ci_low", "ci_high", "null", "baseline", "n", "reason"),
}


def _figure(protocol: str, value: float | None = 0.5, metric: str = "P") -> Figure:
    return Figure(
        protocol=protocol, variant="tau=0.9", metric=metric, k=2, split="test", value=value, n=7
    )


def test_what_is_written_is_read_back_with_the_documented_keys(tmp_path: Path) -> None:
    figures = [_figure("label_recovery"), _figure("controls", value=None)]
    path = write_evaluation(tmp_path, figures)
    assert path == tmp_path / "evaluation.json"
    assert read_evaluation(tmp_path) == figures
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert [set(row) for row in rows] == [_KEYS, _KEYS]
    assert rows[1]["value"] is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["evaluation.json"]


def test_same_figures_same_bytes(tmp_path: Path) -> None:
    first = write_evaluation(tmp_path / "a", [_figure("x", 1 / 3)]).read_bytes()
    assert write_evaluation(tmp_path / "b", [_figure("x", 1 / 3)]).read_bytes() == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "cannot read"),
        ("{}", "does not hold evaluation figures"),
        ('[{"protocol": "x"}]', "0.variant"),
        (
            '[{"protocol": "x", "variant": "", "metric": "P", "split": "test", "value": 1, '
            '"n": 1, "surprise": 1}]',
            "0.surprise",
        ),
        (
            '[{"protocol": "x", "variant": "", "metric": "P", "split": "test", "value": NaN, '
            '"n": 1}]',
            "0.value",
        ),
    ],
)
def test_a_damaged_file_is_a_run_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "evaluation.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=message):
        read_evaluation(tmp_path)


def test_a_missing_file_is_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"evaluation\.json"):
        read_evaluation(tmp_path)


def test_a_number_that_is_not_finite_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    write_evaluation(tmp_path, [_figure("x")])
    with pytest.raises(ValueError, match="not finite"):
        write_evaluation(tmp_path, [_figure("x", math.nan)])
    assert read_evaluation(tmp_path) == [_figure("x")]
