"""Options about generative LMs reach their settings, and wrong ones are named."""

import pytest

from indexer.errors import InputError
from service.options import RunOptions, settings_from


def test_options_reach_their_settings() -> None:
    settings = settings_from(
        RunOptions(
            corpus="sample",
            proposer=["openai:m", "keyphrase"],
            groups=["neurons", "embeddings"],
            focus="what a shopper cares about",
            prompt_style="paper",
            max_requests=5,
            max_tokens=900,
            seed=3,
            lm_option=[
                "vllm.tensor_parallel_size=2",
                "vllm.quantization=fp8",
                "openai.concurrency=16",
                'openai.extra_body={"top_k": 1}',
                "sampling.temperature=0.7",
                "tokens_per_second=500",
            ],
        )
    )
    generation = settings.generation
    assert settings.group_sources == ("neurons", "embeddings")
    assert (generation.prompts.focus, generation.prompts.style) == (
        "what a shopper cares about",
        "paper",
    )
    assert (generation.prompts.seed, generation.sampling.seed) == (3, 3)
    assert generation.openai.budget.max_requests == 5
    assert generation.openai.budget.max_tokens == 900
    assert generation.openai.concurrency == 16
    assert generation.openai.extra_body == {"top_k": 1}
    assert (generation.vllm.tensor_parallel_size, generation.vllm.quantization) == (2, "fp8")
    assert generation.sampling.temperature == 0.7
    assert generation.tokens_per_second == 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lm_option": ["vllm.tensor_parallel_size=0"]}, r"--lm-option vllm\.tensor_parallel_size"),
        ({"lm_option": ["vllm.cores=1"]}, r"'vllm\.cores'; there are .*openai\.concurrency"),
        ({"lm_option": ["sampling.temperature"]}, "expected KEY=VALUE"),
        ({"lm_option": ["prompts.focus=x"]}, "--focus"),
        ({"lm_option": ["sampling.seed=1"]}, "--seed"),
        ({"lm_option": ["openai.concurrency=1", "openai.concurrency=2"]}, "twice"),
        ({"focus": " "}, "--focus: found ' '"),
        ({"groups": ["words"]}, "--groups: found 'words'"),
        ({"groups": ["neurons", "neurons"]}, "--groups.*all different"),
        ({"max_requests": 3}, "--max-requests and --max-tokens limit what openai:MODEL spends"),
        ({"max_requests": 0, "proposer": ["openai:m"]}, "--max-requests: found 0"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings_from(RunOptions(corpus="sample", **options))  # type: ignore[arg-type]


def test_a_password_is_refused_and_not_repeated() -> None:
    option = ["openai.base_url=http://me:secret@host/v1"]
    with pytest.raises(InputError, match="OPENAI_BASE_URL") as raised:
        settings_from(RunOptions(corpus="sample", lm_option=option))
    assert "secret" not in str(raised.value)
