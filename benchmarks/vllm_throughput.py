"""How close `vllm:` comes to bare vLLM; needs vLLM: `python -m benchmarks.vllm_throughput`."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.records import Measurement, read_results, replaced, write_results
from benchmarks.run import RESULTS, show
from benchmarks.tiny_llama import example_requests, save_tiny_llama
from descriptors.generation import Answer, ChatRequest, SamplingSettings
from descriptors.vllm_backend import VLLMGenerator, prompt_tokens, sampling_parameters
from descriptors.vllm_engine import VLLMSettings

_TOPIC = "vllm"
_GOAL = ">= 0.95"


def measure(model: str, n_groups: int, n_rounds: int) -> list[Measurement]:
    """Completion tokens per second through `VLLMGenerator` and of `LLM.generate`, alternating.

    Both get the same prompts, sampling and schema in one engine, whose prefix cache a round that
    does not count has filled. `LLM.generate` gets its prompts as tokens, ready made.
    """
    requests = example_requests(SamplingSettings(temperature=0.8, seed=1), n_groups)
    # Half the memory is plenty for a small model, and nine tenths are rarely free.
    settings = VLLMSettings(gpu_memory_utilization=0.5)
    bare: list[float] = []
    ours: list[float] = []
    with closing(VLLMGenerator.load(model, settings)) as generator:
        _tokens_per_second_bare(generator, requests)
        for _ in range(n_rounds):
            bare.append(_tokens_per_second_bare(generator, requests))
            ours.append(_tokens_per_second(generator, requests))
    reference, value = statistics.median(bare), statistics.median(ours)
    return [
        Measurement.of(
            f"{_TOPIC}.tokens",
            value,
            "tokens/s",
            against="LLM.generate",
            reference=reference,
        ),
        Measurement.of(f"{_TOPIC}.share_of_bare", value / reference, "share", goal=_GOAL),
    ]


def _tokens_per_second(generator: VLLMGenerator, requests: list[ChatRequest]) -> float:
    began = time.perf_counter()
    outcomes = [outcome for _, outcome in generator.generate(requests)]
    taken = time.perf_counter() - began
    return sum(each.completion_tokens for each in outcomes if isinstance(each, Answer)) / taken


def _tokens_per_second_bare(generator: VLLMGenerator, requests: list[ChatRequest]) -> float:
    engine = generator._engine
    prompts = [
        {"prompt_token_ids": prompt_tokens(generator._tokenizer, request.messages)}
        for request in requests
    ]
    sampling = [sampling_parameters(request.sampling, request.json_schema) for request in requests]
    began = time.perf_counter()
    outputs = engine.generate(prompts, sampling, use_tqdm=False)
    taken = time.perf_counter() - began
    return sum(len(output.outputs[0].token_ids) for output in outputs) / taken


def main() -> int:
    """Measure, write what a tiny Llama reaches, and print; 1 if the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vllm_throughput")
    parser.add_argument("--model", help="folder or Hub id; if left out, a tiny Llama")
    parser.add_argument("--groups", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neuroscribe-bench-") as folder:
        if options.model is None:
            save_tiny_llama(Path(folder))
        measured = measure(options.model or folder, options.groups, options.rounds)
    if options.model is None:
        write_results(RESULTS, replaced(read_results(RESULTS), _TOPIC, measured))
    show(measured)
    return int(any(each.met is False for each in measured))


if __name__ == "__main__":
    sys.exit(main())
