"""From what the user writes after `--proposer` to the proposer; each back end loads on first use.

embedded  keyphrase  transformers:ID  vllm:ID  openai:MODEL
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from descriptors.generation import TextGenerator
from descriptors.generation_settings import GenerationSettings
from descriptors.proposer import Proposer
from indexer.encoder import Encoder
from indexer.errors import InputError


class BackEnd(StrEnum):
    """A way to propose descriptors."""

    EMBEDDED = "embedded"
    KEYPHRASE = "keyphrase"
    TRANSFORMERS = "transformers"
    VLLM = "vllm"
    OPENAI = "openai"


WORD_OF_MODEL = {BackEnd.TRANSFORMERS: "ID", BackEnd.VLLM: "ID", BackEnd.OPENAI: "MODEL"}
"""What stands for the model in the written form of the back ends that run a chat model."""

AVAILABLE_PROPOSERS = tuple(
    f"{back_end}:{WORD_OF_MODEL[back_end]}" if back_end in WORD_OF_MODEL else str(back_end)
    for back_end in BackEnd
)

RESPONSES = "responses"
"""The folder of a run that keeps the answers of its LMs."""

_EMBEDDED_WEIGHTS = "embedded_weights"

REQUIRED_PACKAGES = {
    BackEnd.TRANSFORMERS: ("llguidance",),
    BackEnd.VLLM: ("vllm",),
    BackEnd.OPENAI: ("openai",),
}


@dataclass(frozen=True)
class ProposerContext:
    """What proposers are built from besides their name.

    `device` is for back ends whose own settings leave it open; `responses` is the folder that keeps
    the answers of LMs, if any.
    """

    encoder: Encoder
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    responses: Path | None = None


@dataclass(frozen=True)
class ProposerSpec:
    """A back end and its model, as the user wrote them; `model` is None where none is named."""

    back_end: BackEnd
    model: str | None

    @classmethod
    def parse(cls, written: str) -> Self:
        """Read what stands after `--proposer`.

        Raises:
            InputError: it names no proposer, or a package that the proposer needs is missing.
        """
        name, separator, model = written.partition(":")
        known = {str(back_end): back_end for back_end in BackEnd}
        back_end = known.get(name)
        takes_model = back_end in WORD_OF_MODEL
        if back_end is None or not takes_model == bool(separator) == bool(model.strip()):
            works = ", ".join(AVAILABLE_PROPOSERS)
            raise InputError(f"found proposer {written!r}, which is none; what works: {works}")
        missing = [name for name in REQUIRED_PACKAGES.get(back_end, ()) if find_spec(name) is None]
        if missing:
            raise InputError(
                f"proposer {written!r} needs {' and '.join(missing)}, not installed here; run "
                f"`pip install {' '.join(missing)}`, or use another proposer"
            )
        return cls(back_end, model if takes_model else None)


def create_proposer(written: str, context: ProposerContext) -> Proposer:
    """Build the proposer that `written` names; an LM loads when it is first asked.

    Raises:
        InputError: there is no such proposer or model, or a package that it needs is missing.
    """
    spec = ProposerSpec.parse(written)
    if spec.back_end is BackEnd.KEYPHRASE:
        from descriptors.keyphrase import KeyphraseProposer

        return KeyphraseProposer(context.encoder)
    if spec.back_end is BackEnd.EMBEDDED:
        from descriptors.embedded import EmbeddedProposer
        from descriptors.embedded_generator import EmbeddedGenerator

        generator = EmbeddedGenerator.load(embedded_weights())
        return EmbeddedProposer(_bundled_encoder(context), generator)
    from descriptors.lm_proposer import LMProposer
    from descriptors.response_store import ResponseStore

    return LMProposer(
        create_generator(spec, context),
        context.generation.prompts,
        context.generation.sampling,
        None if context.responses is None else ResponseStore(context.responses),
    )


def _bundled_encoder(context: ProposerContext) -> Encoder:
    """The encoder whose embeddings the embedded generator reads, whatever that of the run is."""
    from indexer.bundled import BUNDLED
    from indexer.encoder import SentenceEncoder

    own = context.encoder
    return own if own.name == BUNDLED else SentenceEncoder.load(BUNDLED, "cpu")


def embedded_weights() -> Path:
    """The folder of the embedded generator's weights.

    Raises:
        InputError: they are not part of this installation.
    """
    folder = Path(__file__).with_name(_EMBEDDED_WEIGHTS)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise InputError(
            f"the weights of the embedded generator, {weights}, are not there; reinstall "
            "neuroscribe, or use another proposer"
        )
    return folder


def create_generator(spec: ProposerSpec, context: ProposerContext) -> TextGenerator:
    """The LM that `spec` names; it loads when it is first asked.

    Raises:
        InputError: there is no such model.
        ValueError: the back end of `spec` runs no LM.
    """
    if spec.model is None:
        raise ValueError(f"{spec.back_end} names no LM; expected one of {', '.join(WORD_OF_MODEL)}")
    return _GENERATORS[spec.back_end](spec.model, context)


def _openai(model: str, context: ProposerContext) -> TextGenerator:
    from descriptors.openai_backend import OpenAIGenerator

    return OpenAIGenerator(model, context.generation.openai)


def _vllm(model: str, context: ProposerContext) -> TextGenerator:
    from descriptors.vllm_backend import VLLMGenerator

    return VLLMGenerator.load(model, context.generation.vllm)


def _transformers(model: str, context: ProposerContext) -> TextGenerator:
    from descriptors.transformers_backend import TransformersGenerator

    settings = context.generation.transformers
    if settings.device == "auto":
        settings = settings.model_copy(update={"device": context.device})
    return TransformersGenerator(model, settings)


_GENERATORS: dict[BackEnd, Callable[[str, ProposerContext], TextGenerator]] = {
    BackEnd.TRANSFORMERS: _transformers,
    BackEnd.VLLM: _vllm,
    BackEnd.OPENAI: _openai,
}
