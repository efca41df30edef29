"""Loading a chat model: a causal LM, a fast tokenizer and its chat template."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from descriptors.generation import ChatMessage
from indexer.errors import InputError
from indexer.model_loading import one_at_a_time

if TYPE_CHECKING:
    import torch
    from llguidance import LLTokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Device = Literal["auto", "cpu", "cuda"]
NumberFormat = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, eq=False)
class ChatTokenizer:
    """A tokenizer with a chat template."""

    name: str
    tokenizer: PreTrainedTokenizerFast

    @classmethod
    def load(cls, name: str, folder: Path) -> ChatTokenizer:
        """Read the tokenizer of `folder`; `name` is for messages.

        Raises:
            InputError: it cannot be read, is no fast one, or has no chat template.
        """
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise InputError(
                f"the tokenizer of {name} cannot be loaded: {_first_line(error)}. "
                "Save a tokenizer.json beside the weights."
            ) from error
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise InputError(
                f"the tokenizer of {name} is a {type(tokenizer).__name__}, expected one that is "
                "kept in a tokenizer.json; name another model"
            )
        if not tokenizer.chat_template:
            raise InputError(
                f"{name} has no chat template, so it is no chat model; name one that was tuned to "
                "follow instructions (often called -Instruct or -it)"
            )
        if (
            "sanitize_control_tokens"
            not in inspect.signature(tokenizer.apply_chat_template).parameters
        ):
            raise InputError(
                "this version of transformers cannot tell a chat's control tokens from text that "
                "looks like them; `pip install 'transformers>=5.20'`, or use vllm: or openai:"
            )
        return cls(name, tokenizer)

    def encode(self, messages: Sequence[ChatMessage]) -> list[int]:
        """The tokens of a chat up to where the answer begins.

        Control tokens that corpus text spells out are read as text. Models that may think aloud
        are told not to: the schema leaves no room for it.

        Raises:
            InputError: the chat template does not take these messages.
        """
        from jinja2 import TemplateError

        try:
            tokens: Any = self.tokenizer.apply_chat_template(
                [message.model_dump() for message in messages],
                add_generation_prompt=True,
                return_dict=False,
                sanitize_control_tokens=True,
                enable_thinking=False,
            )
        except TemplateError as error:
            roles = ", ".join(message.role for message in messages)
            raise InputError(
                f"the chat template of {self.name} does not take messages of the roles {roles}: "
                f"{_first_line(error)}. Name another chat model."
            ) from error
        return list(tokens)


@dataclass(frozen=True, eq=False)
class ChatModel:
    """A causal LM in evaluation mode on its device; `end_tokens` end an answer."""

    model: PreTrainedModel
    guide: LLTokenizer
    end_tokens: tuple[int, ...]

    @classmethod
    def load(
        cls, chat: ChatTokenizer, folder: Path, device: Device, number_format: NumberFormat
    ) -> ChatModel:
        """Read safetensors weights from `folder`; code that comes with a model is never run.

        Raises:
            InputError: the model cannot be read, is incomplete, or does not fit its tokenizer.
        """
        import torch
        from llguidance.hf import from_tokenizer

        where = choose_device(device)
        # On a CPU the narrow formats are slow, and batched answers differ from single ones.
        formats = {"auto": torch.float32 if where.type == "cpu" else "auto"}
        dtype = formats.get(number_format) or getattr(torch, number_format)
        model = _load_causal_lm(chat.name, folder, dtype, where)
        size = model.config.get_text_config().vocab_size
        highest = max(chat.tokenizer.get_vocab().values())
        if highest >= size:
            raise InputError(
                f"the tokenizer of {chat.name} counts to {highest} but the model has {size} "
                "tokens; give a folder whose tokenizer and weights fit"
            )
        end_tokens = _end_tokens(chat, model)
        # Only what a request asks for decides its answer, not defaults that come with the model.
        model.generation_config = type(model.generation_config)()
        guide = from_tokenizer(chat.tokenizer, n_vocab=size, eos_token=list(end_tokens))
        return cls(model, guide, end_tokens)


def maximum_tokens(folder: Path) -> int | None:
    """Positions of prompt and answer together that the model in `folder` was made for, if it says.

    Raises:
        InputError: the folder has no configuration that transformers knows.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} has no configuration that transformers can read: {_first_line(error)}"
        ) from error
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(positions) if positions else None


def choose_device(device: Device) -> torch.device:
    """Turn `auto` into CUDA where there is one, else the CPU.

    Raises:
        InputError: CUDA was asked for and is absent.
    """
    import torch

    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise InputError("--device cuda was asked for but no CUDA device is there; use auto or cpu")
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")


def _load_causal_lm(name: str, folder: Path, dtype: Any, device: torch.device) -> PreTrainedModel:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    load: Any = AutoModelForCausalLM.from_pretrained
    try:
        with one_at_a_time(), _quiet_loading():
            model, loading = load(
                folder,
                dtype=dtype,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"model {name} cannot be loaded as a causal LM: {_first_line(error)}. Expected a "
            "config.json and safetensors weights of a generative model."
        ) from error
    if missing := sorted(loading["missing_keys"]):
        raise InputError(
            f"the weights of {name} lack {len(missing)} tensors, which would be random numbers "
            f"(first: {missing[0]}); give a complete checkpoint of a generative model"
        )
    # `from_pretrained` leaves a model in evaluation mode.
    loaded: PreTrainedModel = model.to(device)
    return loaded


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Keep bar and report of loading off stderr; what matters in the report is raised instead."""
    from transformers import utils

    logging: Any = utils.logging
    verbosity, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bar:
            logging.enable_progress_bar()


def _end_tokens(chat: ChatTokenizer, model: PreTrainedModel) -> tuple[int, ...]:
    named: Any = getattr(model.generation_config, "eos_token_id", None)
    listed = named if isinstance(named, list) else [named]
    ends = {int(token) for token in [chat.tokenizer.eos_token_id, *listed] if token is not None}
    if not ends:
        raise InputError(f"{chat.name} names no token that ends an answer; name another chat model")
    return tuple(sorted(ends))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
