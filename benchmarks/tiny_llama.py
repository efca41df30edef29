"""A chat model made on the spot, for tests and benchmarks that need any model at all.

Llama architecture, weights as safetensors, a tokenizer of its own with a chat template.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from descriptors.generation import ChatRequest, SamplingSettings
from descriptors.prompts import PromptSettings, group_prompts
from descriptors.proposer import GroupTexts
from descriptors.records import Group

CONTEXT_LENGTH = 4096
PHRASES = (
    *("battery life", "fast delivery", "refund request", "screen colour", "loud sound"),
    *("late parcel", "broken charger", "good price", "slow service", "small size"),
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_TRAINING_STEPS = 80
_PROMPT_END = 80
_SPECIAL = ("<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")


def save_tiny_llama(folder: Path) -> None:
    """Save a tiny Llama that has learnt to answer any chat with a JSON object of phrases."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    _trained_model(tokenizer).save_pretrained(folder)


def example_groups(n_groups: int = len(PHRASES)) -> list[GroupTexts]:
    """Groups of two sentences, each group about one of the phrases."""
    return [
        GroupTexts(
            Group(id=f"g{number}", source="example", rows=(number,)),
            (
                f"Number {number} is about the {PHRASES[number % len(PHRASES)]}.",
                f"Again: {PHRASES[number % len(PHRASES)]}.",
            ),
        )
        for number in range(n_groups)
    ]


def example_requests(sampling: SamplingSettings, n_groups: int = len(PHRASES)) -> list[ChatRequest]:
    """What the proposer asks about the example groups."""
    prompts = group_prompts(example_groups(n_groups), PromptSettings(), sampling)
    return [prompt.request for prompt in prompts]


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    instructions = example_requests(SamplingSettings())[0].messages[0].content
    backend.train_from_iterator([instructions], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        additional_special_tokens=list(_SPECIAL[2:]),
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT_LENGTH,
    )


def _answer(number: int) -> str:
    named = [PHRASES[number], PHRASES[(number + 3) % len(PHRASES)]]
    return json.dumps({"descriptors": named})


def _trained_model(tokenizer: Any) -> Any:
    """A model that has seen a few answers to the ends of prompts; seconds on two cores."""
    import torch

    model = _random_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(5)
    requests = example_requests(SamplingSettings())
    for _ in range(_TRAINING_STEPS):
        number = int(torch.randint(len(requests), (1,), generator=generator))
        chat = [message.model_dump() for message in requests[number].messages]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        answer = [*tokenizer.encode(_answer(number)), tokenizer.eos_token_id]
        prompt = prompt[-_PROMPT_END:]
        tokens = torch.tensor([[*prompt, *answer]])
        labels = torch.tensor([[-100] * len(prompt) + answer])
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def _random_model(tokenizer: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(3)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=128,
                intermediate_size=256,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=CONTEXT_LENGTH,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                initializer_range=0.1,
            )
        )
