"""What the service is told: by flags, by environment variables, by a file."""

from __future__ import annotations

import os
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import from_json
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from indexer.errors import InputError
from service.setting_values import host_names, known_database, misspelt, networks, none_if_empty

WORKSPACE = ".neuroscribe"
"""The folder beside the runs that holds what the service keeps for itself."""

ENVIRONMENT_PREFIX = "NEUROSCRIBE_"
SETTINGS_FILE = Path("neuroscribe.toml")
"""Read from the working folder where no other file is named."""


def _parts(value: Any) -> Any:
    """A variable or a flag names several things with commas between them, or as a JSON array."""
    if isinstance(value, str) and value.startswith("["):
        return from_json(value)
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
OptionalPath = Annotated[Path | None, BeforeValidator(none_if_empty)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(known_database)]


class ServiceSettings(BaseSettings):
    """Settings of `serve` and `worker`.

    Flags come first, then `NEUROSCRIBE_*` variables, then the file, then defaults. Several names in
    one variable are parted by commas. A secret is never shown or logged.

    Attributes:
        config: the file, in TOML; `neuroscribe.toml` in the working folder, if there is one.
        runs: the folder whose subfolders are runs.
        host: the address to listen on.
        port: likewise.
        database_url: where jobs and keys are kept; SQLite in the workspace if None.
        job_workers: processes that do jobs, started by `serve`.
        jobs_at_once: jobs that one of them does at the same time.
        authentication: `auto` asks for an API key unless the address is of this machine only, no
            proxy and no other host name is set, and no key was made.
        allowed_hosts: names under which the service may be addressed, besides its own address and
            those of this machine; if none is given, any where an API key is asked for.
        trusted_proxies: addresses or networks of proxies whose `X-Forwarded-For` and
            `X-Forwarded-Proto` headers are believed.
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
        shutdown_seconds: given to answers under way when the service is told to stop.
        log_format: `json` or, for people, `console`.
        log_level: as of the standard library.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    config: OptionalPath = None
    runs: Path = Path("runs")
    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    database_url: Annotated[DatabaseUrl | None, BeforeValidator(none_if_empty)] = None
    job_workers: int = Field(default=1, ge=0)
    jobs_at_once: int = Field(default=1, ge=1)
    authentication: Literal["auto", "required", "off"] = "auto"
    allowed_hosts: Annotated[Names, AfterValidator(host_names)] = ()
    trusted_proxies: Annotated[Names, AfterValidator(networks)] = ()
    models: Names = ("bundled",)
    models_folder: OptionalPath = None
    hub_corpora: Names = ()
    proposers: Names = ("embedded", "keyphrase")
    openai_base_urls: Names = ()
    upload_bytes: int = Field(default=2**30, ge=1)
    expanded_bytes: int = Field(default=4 * 2**30, ge=1)
    body_bytes: int = Field(default=2**20, ge=1024)
    requests_per_minute: int = Field(default=1200, ge=0)
    opened_runs: int = Field(default=4, ge=1)
    shutdown_seconds: int = Field(default=10, ge=0)
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def told(cls, **flags: Any) -> Self:
        """The settings where some are given by flags; a flag that is None was not given.

        Raises:
            InputError: a value is not possible; the message names the setting.
        """
        variables = [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]
        known = [f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in cls.model_fields]
        if complaints := misspelt(variables, known):
            raise InputError("; ".join(complaints))
        given = {name: value for name, value in flags.items() if value is not None}
        try:
            return cls(**given)
        except ValidationError as error:
            raise InputError("; ".join(_complaint(each) for each in error.errors())) from error

    @property
    def workspace(self) -> Path:
        """Where the service keeps its database, uploads and the files of jobs."""
        return self.runs / WORKSPACE

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_private(self) -> bool:
        """Whether only users of this machine reach the service, as far as it is told."""
        return self.is_loopback and not self.allowed_hosts and not self.trusted_proxies

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
        flags = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        named = flags.get("config") or os.environ.get(f"{ENVIRONMENT_PREFIX}CONFIG") or None
        if named is not None and not Path(named).is_file():
            raise InputError(f"there is no settings file {named}; --config names one in TOML")
        path = SETTINGS_FILE if named is None else Path(named)
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise InputError(f"{path} cannot be read as TOML: {error}") from error


def _complaint(error: Any) -> str:
    name = str(error["loc"][0])
    if name not in ServiceSettings.model_fields:
        return f"there is no setting {name!r}; there are {_known_names()}"
    found = "a value" if name == "database_url" else repr(error["input"])
    variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
    message = error["msg"].removeprefix("Value error, ")
    return f"setting {name} (variable {variable}): found {found}; {message}"


def _known_names() -> str:
    return ", ".join(ServiceSettings.model_fields)
