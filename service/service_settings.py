"""What the service is told: by flags, by environment variables, by a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from indexer.errors import InputError
from service.complaints import complaints

WORKSPACE = ".neuroscribe"
"""The folder beside the runs that holds what the service keeps for itself."""


class ServiceSettings(BaseSettings):
    """Settings of `serve` and `worker`.

    Flags come first, then `NEUROSCRIBE_*` variables, then `neuroscribe.toml` in the working folder,
    then defaults. A secret is never shown or logged.

    Attributes:
        runs: the folder whose subfolders are runs.
        host: the address to listen on.
        port: likewise.
        database_url: where jobs and keys are kept; SQLite in the workspace if None.
        job_workers: processes that do jobs, started by `serve`.
        jobs_at_once: jobs that one of them does at the same time.
        authentication: `auto` asks for an API key unless the address is of this machine only and
            no key was made.
        allowed_hosts: names under which the service may be addressed, besides its own address.
        models: subject models and encoders that jobs may name, besides those of `models_folder`.
        models_folder: a folder of models; each may be named by its folder's name.
        hub_corpora: data sets of the hub that jobs may read, as in `hf:NAME`.
        proposers: proposers that jobs may name.
        openai_base_urls: servers that an `openai:` proposer may be sent to.
        upload_bytes: size of the largest upload.
        expanded_bytes: size an upload may have once it is decompressed.
        body_bytes: size of the largest body of any other request.
        requests_per_minute: of one client; 0 for no limit.
        opened_runs: runs held open at once.
        log_format: `json` or, for people, `console`.
        log_level: as of the standard library.
    """

    model_config = SettingsConfigDict(
        env_prefix="NEUROSCRIBE_", toml_file="neuroscribe.toml", extra="ignore", frozen=True
    )

    runs: Path = Path("runs")
    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    database_url: SecretStr | None = None
    job_workers: int = Field(default=1, ge=0)
    jobs_at_once: int = Field(default=1, ge=1)
    authentication: Literal["auto", "required", "off"] = "auto"
    allowed_hosts: tuple[str, ...] = ()
    models: tuple[str, ...] = ("bundled",)
    models_folder: Path | None = None
    hub_corpora: tuple[str, ...] = ()
    proposers: tuple[str, ...] = ("embedded", "keyphrase")
    openai_base_urls: tuple[str, ...] = ()
    upload_bytes: int = Field(default=2**30, ge=1)
    expanded_bytes: int = Field(default=4 * 2**30, ge=1)
    body_bytes: int = Field(default=2**20, ge=1024)
    requests_per_minute: int = Field(default=1200, ge=0)
    opened_runs: int = Field(default=4, ge=1)
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def told(cls, **flags: Any) -> Self:
        """The settings where some are given by flags; a flag that is None was not given.

        Raises:
            InputError: a value is not possible; the message names the setting.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            raise InputError("; ".join(complaints(error.errors()))) from error

    @property
    def workspace(self) -> Path:
        """Where the service keeps its database, uploads and the files of jobs."""
        return self.runs / WORKSPACE

    @property
    def database(self) -> str:
        """The URL of the database, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.workspace / 'service.sqlite').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before variables before the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
