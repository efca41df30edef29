"""Names of settings of generative LMs."""

from descriptors.generation_settings import GenerationSettings, setting_names


def test_every_name_leads_to_a_setting() -> None:
    names = setting_names()
    assert {"prompts.focus", "openai.budget.max_tokens", "vllm.dtype", "tokens_per_second"} <= {
        *names
    }
    for name in names:
        place: object = GenerationSettings()
        for part in name.split("."):
            place = getattr(place, part)
        assert not isinstance(place, GenerationSettings)
