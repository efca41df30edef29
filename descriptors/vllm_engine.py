"""Starts and stops vLLM's engine, and says what is wrong when it does not run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, Literal

from pydantic import Field

from indexer.errors import BackendError, InputError
from indexer.records import Record

_ENVIRONMENT = {
    # vLLM logs to stdout, which belongs to results.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    # A fork would copy the locks of thread pools (torch, FAISS) that are in use here.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}

_STOP_SECONDS = 60.0


class VLLMSettings(Record):
    """How vLLM loads and runs a model; names and meanings are vLLM's own.

    `max_model_len` is in tokens, prompt and answer together, and the model's own limit if None;
    a model over several machines needs `distributed_executor_backend` ray and a Ray cluster;
    `gpu_memory_utilization` is the share of each GPU's memory (of the main memory on a CPU).
    """

    tensor_parallel_size: int = Field(default=1, ge=1)
    pipeline_parallel_size: int = Field(default=1, ge=1)
    distributed_executor_backend: Literal["mp", "ray"] | None = None
    gpu_memory_utilization: float = Field(default=0.9, gt=0.0, le=1.0)
    max_model_len: int | None = Field(default=None, ge=1)
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = "auto"
    quantization: str | None = None
    enforce_eager: bool = False
    enable_prefix_caching: bool = True
    seed: int = Field(default=0, ge=0)
    revision: str | None = None


def engine_arguments(model: str, settings: VLLMSettings) -> dict[str, Any]:
    """The arguments of `vllm.LLM`: the settings, safetensors only, and no code from the model."""
    return {
        "model": model,
        "load_format": "safetensors",
        "trust_remote_code": False,
        **settings.model_dump(),
    }


def start_engine(model_id: str, arguments: dict[str, Any]) -> Any:
    """A `vllm.LLM` with these arguments, for the model that the user calls `model_id`.

    Raises:
        InputError: vLLM does not import, or the model cannot be used with these settings.
        BackendError: the engine does not start, mostly for want of memory.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm import LLM
        from vllm.exceptions import VLLMValidationError
        from vllm.platforms import current_platform
    except ImportError as error:
        raise InputError(
            f"vllm:{model_id} needs vLLM, which does not import here: {error}. "
            "Install it anew (`pip install 'neuroscribe[vllm]'`), or name another proposer."
        ) from error
    if current_platform.is_cpu():
        # A prompt with a seed that is read in parts kills the engine: vLLM winds the random state
        # back after each part, which PyTorch cannot do on a CPU.
        arguments = arguments | {"enable_chunked_prefill": False}
    try:
        engine = LLM(**arguments)
    except (OSError, ValueError, VLLMValidationError) as error:
        raise InputError(
            f"vLLM cannot use model {model_id!r}: {error}. Expected a local folder or a Hub id "
            "with safetensors weights of an architecture that vLLM knows, and settings that fit it."
        ) from error
    except RuntimeError as error:
        raise BackendError(
            f"vLLM did not start with model {model_id!r}: {error} (the log above says more). If "
            f"memory is short, lower max_model_len (it is {arguments['max_model_len']}), name a "
            "smaller or quantised model, or raise tensor_parallel_size or, while nothing else "
            f"uses the memory, gpu_memory_utilization ({arguments['gpu_memory_utilization']})."
        ) from error
    _wake_when_killed(engine)
    return engine


def _wake_when_killed(engine: Any) -> None:
    """Let a step that waits for an engine killed from outside (out of memory) fail.

    vLLM notices the death and closes the socket, but its blocking client waits on for outputs.
    """
    from vllm.v1.engine.exceptions import EngineDeadError

    client = engine.llm_engine.engine_core
    reader = getattr(client, "output_queue_thread", None)
    if reader is None:
        # The engine runs in this process (VLLM_ENABLE_V1_MULTIPROCESSING=0) and dies with it.
        return
    outputs = client.outputs_queue

    def wake() -> None:
        reader.join()
        outputs.put_nowait(EngineDeadError())

    Thread(target=wake, name="neuroscribe-vllm-watch", daemon=True).start()


def stop_engine(engine: Any) -> None:
    """End the processes of a `vllm.LLM`, which free its memory; a second time does nothing."""
    # Left to itself vLLM waits 5 s, kills engine and workers and does not await the end of the
    # latter, whose memory is the one in question; on a busy machine an orderly end takes longer.
    engine.llm_engine.engine_core.shutdown(timeout=_STOP_SECONDS)


@contextmanager
def engine_failures(name: str) -> Iterator[None]:
    """Raise a BackendError where the engine of the back end `name` dies in the block."""
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except EngineDeadError as error:
        raise BackendError(
            f"the engine of {name} died: {error} Answers so far are kept; if memory ran out, "
            "lower gpu_memory_utilization or max_model_len and run again."
        ) from error
