"""What a job that came over the network may do: the one place that decides it.

A job names a corpus, models, LMs and servers. On the command line these are the user's own; here
they would be a stranger's way to the service's files, its network and its purse. So every setting
that is text is decided on below, by a check or as text that names nothing, and a test fails when
`RunSettings` gets one that is not. Numbers are bounded by `service.admission_limits`.

Runs that are in the folder already are their operator's: a job that goes on with one (explain,
evaluate, rebuild) does so with the settings it was made with.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descriptors.readers import HUB_PREFIX, HubSource
from descriptors.sample import SAMPLE
from indexer.errors import InputError, NotFoundError
from indexer.records import Record
from service.admission_limits import check_sizes, leaves
from service.jobs.records import CatalogJob, JobSpec, RunJob
from service.public_names import UPLOAD_PREFIX
from service.service_settings import ServiceSettings
from service.uploads import Uploads

ENCODINGS = (
    *("ascii", "utf-8", "utf-8-sig", "big5", "cp437", "cp850", "cp932", "cp949", "gb18030"),
    *("gbk", "euc_jp", "euc_kr", "shift_jis", "koi8-r", "koi8-u", "mac-roman"),
    *(f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))),
    *(f"cp125{page}" for page in range(9)),
)
"""Encodings that a job may name, as Python calls them; aliases such as `latin-1` work."""

QUANTIZATIONS = ("awq", "awq_marlin", "bitsandbytes", "fp8", "gptq", "gptq_marlin")
"""What a job may say of a vLLM model's quantisation; none of them reads anything but weights."""

ANY_MODEL = "*"
"""Ends an entry of `proposers` that admits every model of an `openai:` server."""

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_HUB_WORD = re.compile(r"[A-Za-z0-9][\w.+%\[\]-]*", re.ASCII)
_WILD_BACK_END = "openai:"
_HARMLESS_BODIES: tuple[dict[str, Any], ...] = (
    {},
    {"chat_template_kwargs": {"enable_thinking": False}},
    {"chat_template_kwargs": {"enable_thinking": True}},
)


class AdmittedChoices(Record):
    """What jobs may name, for pages and clients that offer a choice.

    An entry of `proposers` that ends in `*` admits every model that begins so. `corpora` may be
    uploads besides.
    """

    corpora: tuple[str, ...]
    models: tuple[str, ...]
    proposers: tuple[str, ...]
    openai_base_urls: tuple[str, ...]
    upload_bytes: int
    expanded_bytes: int


def describe_admission(settings: ServiceSettings) -> AdmittedChoices:
    """What the service's settings allow.

    Raises:
        InputError: they contradict themselves.
    """
    return AdmittedChoices(
        corpora=(SAMPLE, *(f"{HUB_PREFIX}{name}" for name in _hub_names(settings))),
        models=tuple(dict.fromkeys((*settings.models, *_folder_names(settings.models_folder)))),
        proposers=_proposers(settings),
        openai_base_urls=settings.openai_base_urls,
        upload_bytes=settings.upload_bytes,
        expanded_bytes=settings.expanded_bytes,
    )


def admit(spec: JobSpec, settings: ServiceSettings, uploads: Uploads) -> JobSpec:
    """The job with uploads and models resolved to their paths, if the service may do it.

    Raises:
        InputError: it may not; the message names the setting and what is allowed.
    """
    if not isinstance(spec, RunJob | CatalogJob):
        return spec
    told = spec.settings
    check_sizes(told)
    door = _Door(settings, uploads)
    for name, value in leaves(told):
        if name in DECISIONS:
            DECISIONS[name](door, name, value)
    resolved = {
        "corpus": door.corpus(told.corpus),
        "model": door.model("model", told.model),
        "encoder": door.model("encoder", told.encoder),
    }
    return spec.model_copy(update={"settings": told.model_copy(update=resolved)})


@dataclass(frozen=True)
class _Door:
    """What may pass."""

    settings: ServiceSettings
    uploads: Uploads

    def corpus(self, written: str) -> str:
        """`sample`, the path of an upload, or a data set of the hub that is allowed."""
        if written == SAMPLE:
            return written
        if written.startswith(UPLOAD_PREFIX):
            try:
                return str(self.uploads.path(written.removeprefix(UPLOAD_PREFIX)))
            except NotFoundError as error:
                raise InputError(f"corpus: {error}") from error
        allowed = _hub_names(self.settings)
        if written.startswith(HUB_PREFIX):
            source = HubSource.parse(written)
            words = [word for word in (source.configuration, source.split) if word is not None]
            is_named = {source.name, written.removeprefix(HUB_PREFIX)} & set(allowed)
            if is_named and all(map(_HUB_WORD.fullmatch, words)):
                return written
        raise _refusal(
            "corpus",
            written,
            (SAMPLE, f"{UPLOAD_PREFIX}ID", *(f"{HUB_PREFIX}{n}" for n in allowed)),
        )

    def model(self, name: str, written: str) -> str:
        """A model of the list as it is, one of the folder as its path."""
        if written in self.settings.models and not written.startswith("neurox:"):
            return written
        folder = self.settings.models_folder
        if folder is not None and _MODEL_NAME.fullmatch(written):
            within = _within(folder, written)
            if within is not None:
                return str(within)
        raise _refusal(name, written, describe_admission(self.settings).models)

    def proposer(self, name: str, written: str) -> None:
        """An LM of the list, or of a server whose models are all allowed."""
        for entry in _proposers(self.settings):
            beginning = entry.removesuffix(ANY_MODEL)
            if written == entry or (beginning != entry and written.startswith(beginning)):
                return
        raise _refusal(name, written, _proposers(self.settings))


Decision = Callable[[_Door, str, Any], None]


def _resolved(door: _Door, name: str, value: str) -> None:
    """Decided where it is resolved to what it stands for."""
    del door, name, value


def _names_nothing(door: _Door, name: str, value: Any) -> None:
    """Text that is only compared with other text, shown, or put to an LM as a question."""
    del door, name, value


def _proposer_list(door: _Door, name: str, value: tuple[str, ...]) -> None:
    for written in value:
        door.proposer(name, written)


def _judge(door: _Door, name: str, value: str | None) -> None:
    if value is not None:
        door.proposer(name, value)


def _encoding(door: _Door, name: str, value: str) -> None:
    del door
    try:
        known = codecs.lookup(value).name
    except (LookupError, ValueError):
        known = ""
    if known not in ENCODINGS:
        raise _refusal(name, value, ENCODINGS)


def _base_url(door: _Door, name: str, value: str | None) -> None:
    allowed = door.settings.openai_base_urls
    if value is not None and value not in allowed:
        raise _refusal(name, value, allowed or ("none; leave it out",))


def _extra_body(door: _Door, name: str, value: dict[str, Any]) -> None:
    # It could name another model, tools or a template: all that the server's API knows.
    del door
    if value not in _HARMLESS_BODIES:
        raise _refusal(name, value, tuple(map(str, _HARMLESS_BODIES)))


def _quantization(door: _Door, name: str, value: str | None) -> None:
    del door
    if value is not None and value not in QUANTIZATIONS:
        raise _refusal(name, value, QUANTIZATIONS)


def _revision(door: _Door, name: str, value: str | None) -> None:
    # `refs/pr/5` is whatever somebody proposed as the model's weights.
    del door
    if value is not None:
        raise _refusal(name, value, ("none; leave it out",))


def _executor(door: _Door, name: str, value: str | None) -> None:
    del door
    if value == "ray":
        raise _refusal(name, value, ("mp",))


def _no_unsafe_weights(door: _Door, name: str, value: bool) -> None:
    del door
    if value:
        raise _refusal(name, value, ("false, as pickled weights can run code",))


DECISIONS: Mapping[str, Decision] = {
    "corpus": _resolved,
    "model": _resolved,
    "encoder": _resolved,
    "proposers": _proposer_list,
    "unsafe_weights": _no_unsafe_weights,
    "reading.mapping.text": _names_nothing,
    "reading.mapping.id": _names_nothing,
    "reading.mapping.labels": _names_nothing,
    "reading.mapping.document": _names_nothing,
    "reading.encoding": _encoding,
    "generation.prompts.focus": _names_nothing,
    "generation.openai.base_url": _base_url,
    "generation.openai.extra_body": _extra_body,
    "generation.vllm.distributed_executor_backend": _executor,
    "generation.vllm.quantization": _quantization,
    "generation.vllm.revision": _revision,
    "evaluation.judges.judges": _names_nothing,
    "evaluation.judges.lm": _judge,
}
"""What is decided about every setting that is text or holds anything, by its dotted name."""


def _hub_names(settings: ServiceSettings) -> tuple[str, ...]:
    return tuple(name.removeprefix(HUB_PREFIX) for name in settings.hub_corpora)


def _proposers(settings: ServiceSettings) -> tuple[str, ...]:
    for entry in settings.proposers:
        # What follows the other back ends' colon is a folder or a model of the hub.
        if ANY_MODEL in entry and not re.fullmatch(rf"{_WILD_BACK_END}[^*]*\*", entry):
            raise InputError(
                f"the service's setting `proposers`: found {entry!r}; only an entry such as "
                f"{_WILD_BACK_END}{ANY_MODEL} may hold {ANY_MODEL!r}, at its end. List the models "
                "of other back ends one by one"
            )
    return settings.proposers


def _folder_names(folder: Path | None) -> list[str]:
    if folder is None or not folder.is_dir():
        return []
    names = (each.name for each in folder.iterdir() if _MODEL_NAME.fullmatch(each.name))
    return sorted(name for name in names if _within(folder, name) is not None)


def _within(folder: Path, name: str) -> Path | None:
    """The folder called `name` directly below another, None if there is none or it leads out."""
    found = (folder / name).resolve()
    return found if found.is_dir() and found.parent == folder.resolve() else None


def _refusal(name: str, found: Any, allowed: tuple[str, ...]) -> InputError:
    shown = repr(found)
    shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
    return InputError(f"{name}: found {shown}; this service allows {', '.join(allowed)}")
