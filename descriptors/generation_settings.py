"""Everything that is told to generative LMs: what they are asked, and how each back end is used."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from descriptors.generation import SamplingSettings
from descriptors.openai_backend import OpenAISettings
from descriptors.prompts import PromptSettings
from descriptors.transformers_backend import TransformersSettings
from descriptors.vllm_engine import VLLMSettings
from indexer.errors import InputError
from indexer.records import Record


class GenerationSettings(Record):
    """The settings of generative proposers; part of the manifest, so they hold no secrets.

    `tokens_per_second` is what the user knows of their LM, prompts and answers together; only a
    plan reads it.
    """

    prompts: PromptSettings = PromptSettings()
    sampling: SamplingSettings = SamplingSettings()
    openai: OpenAISettings = OpenAISettings()
    transformers: TransformersSettings = TransformersSettings()
    vllm: VLLMSettings = VLLMSettings()
    tokens_per_second: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)

    @field_validator("openai")
    @classmethod
    def _without_credentials(cls, settings: OpenAISettings) -> OpenAISettings:
        address = urlsplit(settings.base_url or "")
        if address.username or address.password or address.query:
            # No ValueError: pydantic would repeat the value, and so the password.
            raise InputError(
                "openai.base_url holds a user name, a password or a query, and settings are "
                "written to the manifest; set the environment variable OPENAI_BASE_URL instead"
            )
        return settings


def setting_names(record: type[Record] = GenerationSettings) -> list[str]:
    """The dotted names of all settings in a record and the records inside it."""
    names: list[str] = []
    for name, field in record.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Record):
            names += [f"{name}.{inner}" for inner in setting_names(kind)]
        else:
            names.append(name)
    return names
