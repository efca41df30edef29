"""What is installed, what works on this machine, and whether activations are read correctly."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from indexer.errors import NeuroscribeError
from indexer.records import Record
from service.plan import free_bytes
from service.stages import installed_versions

if TYPE_CHECKING:
    from descriptors.proposer_factory import BackEnd

MINIMUM_FREE_GB = 2.0
MINIMUM_MEMORY_GB = 2.0

_CONNECT_SECONDS = 3.0

_COMPARED = ("refund", "money back", "mountain goat")
_PROPOSED_FOR = (
    ("the battery life is short", "poor battery life", "battery life of two hours"),
    ("fast delivery", "the delivery was late", "delivery took two weeks"),
)


class Check(Record):
    """One thing looked at; `advice` says what to do where it is not `ok`.

    What is not `required` may fail without making neuroscribe unusable.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found; `advice` is for the case that it is not `ok`."""

    ok: bool
    found: str
    advice: str = ""
    required: bool = True


class Diagnosis(Record):
    """All checks of a machine."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every required check succeeded."""
        return all(check.ok for check in self.checks if check.required)


def examine(
    model: str = "bundled", *, device: str = "auto", unsafe_weights: bool = False
) -> Diagnosis:
    """Look at everything a run needs; a failed check never stops the others."""
    from descriptors.proposer_factory import WORD_OF_MODEL

    checks: dict[str, Callable[[], Finding]] = {
        "bundled weights": _bundled_weights,
        "processor": _processor,
        "device": partial(_device, device),
        "memory": _memory,
        "free disk": _disk,
        f"activations of {model}": partial(_parity, model, device, unsafe_weights),
        "sentence encoder": _encoder,
        "proposer keyphrase": _keyphrase,
        "proposer embedded": _embedded,
        **{
            f"proposer {back_end}:{model_word}": partial(_back_end, back_end)
            for back_end, model_word in WORD_OF_MODEL.items()
        },
    }
    if server := os.environ.get("OPENAI_BASE_URL"):
        checks["OPENAI_BASE_URL"] = partial(_server, server)
    return Diagnosis(
        checks=(*_packages(), *(_checked(name, check) for name, check in checks.items()))
    )


def _checked(name: str, check: Callable[[], Finding]) -> Check:
    try:
        finding = check()
    # What a broken installation raises on the way to torch, FAISS or the bundled weights.
    except (NeuroscribeError, ImportError, OSError) as error:
        advice = " ".join(str(error).split()) or type(error).__name__
        return Check(name=name, ok=False, found="failed", advice=advice)
    return Check(
        name=name,
        ok=finding.ok,
        found=finding.found,
        advice="" if finding.ok else finding.advice,
        required=finding.required,
    )


def _packages() -> list[Check]:
    return [Check(name=name, ok=True, found=found) for name, found in installed_versions().items()]


def _back_end(back_end: BackEnd) -> Finding:
    from descriptors.proposer_factory import REQUIRED_PACKAGES

    packages = REQUIRED_PACKAGES[back_end]
    missing = [name for name in packages if find_spec(name) is None]
    return Finding(
        not missing,
        ", ".join(
            f"{name} {'not installed' if name in missing else _version(name)}" for name in packages
        ),
        f"pip install {' '.join(missing)} if you want it",
        required=False,
    )


def _server(url: str) -> Finding:
    """Whether something listens where OPENAI_BASE_URL points; nothing, so no key, is sent."""
    address = urlsplit(url)
    shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    advice = "start the server, or set OPENAI_BASE_URL to where it listens (http://HOST:PORT/v1)"
    try:
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        with socket.create_connection((address.hostname or "", port), _CONNECT_SECONDS):
            return Finding(True, f"{shown} is reachable")
    except (OSError, ValueError, KeyError) as error:
        found = f"{shown} is not reachable ({type(error).__name__})"
        return Finding(False, found, advice, required=False)


def _embedded() -> Finding:
    from descriptors.proposer_factory import embedded_weights

    try:
        folder = embedded_weights()
    except NeuroscribeError as error:
        return Finding(False, "no weights", str(error), required=False)
    size = (folder / "model.safetensors").stat().st_size / 1e6
    return Finding(True, f"weights of {size:.1f} MB")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "importable, without a distribution"


def _bundled_weights() -> Finding:
    from indexer.bundled import bundled_model_path

    return Finding(True, f"sha256 as expected, in {bundled_model_path()}")


def _processor() -> Finding:
    import torch

    return Finding(True, f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")


def _device(device: str) -> Finding:
    import torch

    from neurons.subject import choose_device

    chosen = choose_device(device)
    is_cuda = chosen.type == "cuda"
    return Finding(True, torch.cuda.get_device_name(chosen) if is_cuda else "cpu")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding(
        total >= MINIMUM_MEMORY_GB,
        f"{total:.1f} GB",
        f"a run wants up to {MINIMUM_MEMORY_GB:g} GB; give a smaller --limit",
        required=False,
    )


def _disk() -> Finding:
    here, temporary = free_bytes(Path.cwd()) / 1e9, free_bytes(Path(tempfile.gettempdir())) / 1e9
    return Finding(
        min(here, temporary) >= MINIMUM_FREE_GB,
        f"{here:.1f} GB here, {temporary:.1f} GB for temporary files",
        "`neuroscribe plan` tells what a run needs; choose an --out elsewhere",
        required=False,
    )


def _parity(model: str, device: str, unsafe_weights: bool) -> Finding:
    from neurons.parity import check_parity
    from neurons.subject import SubjectModel

    subject = SubjectModel.load(model, device, unsafe_weights)
    report = check_parity(subject)
    return Finding(
        report.passed,
        f"{subject.architecture.family}, {report.layers} layers: captured and recomputed differ "
        f"by {report.ffn_relative_difference:.1e} at ffn, "
        f"{report.hidden_relative_difference:.1e} at hidden (relative; "
        f"{report.tolerance:g} allowed)",
        "use another model, or report the model and these versions",
    )


def _encoder() -> Finding:
    from indexer.encoder import SentenceEncoder

    vectors = SentenceEncoder.load("bundled", "cpu").encode(_COMPARED)
    near, far = (float(similarity) for similarity in vectors[1:] @ vectors[0])
    return Finding(
        near > far,
        f"{_COMPARED[0]!r} is {near:.2f} to {_COMPARED[1]!r}, {far:.2f} to {_COMPARED[2]!r}",
        "reinstall sentence-transformers and the bundled model",
    )


def _keyphrase() -> Finding:
    from descriptors.proposer import GroupTexts
    from descriptors.proposer_factory import ProposerContext, create_proposer
    from descriptors.records import Group
    from indexer.encoder import SentenceEncoder

    groups = [
        GroupTexts(Group(id=str(number), source="doctor", rows=(0, 1, 2)), texts)
        for number, texts in enumerate(_PROPOSED_FOR)
    ]
    context = ProposerContext(SentenceEncoder.load("bundled", "cpu"))
    proposals = [batch.proposals for batch in create_proposer("keyphrase", context).propose(groups)]
    phrases = [batch[0].text for batch in proposals if batch]
    return Finding(
        len(phrases) == len(groups),
        "proposes " + (", ".join(repr(phrase) for phrase in phrases) or "nothing"),
        "reinstall neuroscribe and scikit-learn",
    )
