"""A job may do what the operator allowed, and nothing else can be said in any of its settings."""

import asyncio
import os
import types
import typing
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import annotated_types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from descriptors.text_lines import check_encoding
from indexer.errors import InputError
from service.admission import DECISIONS, ENCODINGS, admit, describe_admission
from service.admission_limits import LIMITS
from service.jobs.records import JOB_SPEC, RunJob
from service.public_names import public_name, public_spec
from service.service_settings import ServiceSettings
from service.settings import RunSettings
from service.uploads import Uploads


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, with ways out of it."""
    base = tmp_path_factory.mktemp("service")
    for name in ("models/good", "models/.hidden", "models/deep/er", "outside"):
        (base / name).mkdir(parents=True)
    (base / "models" / "file").write_text("no folder")
    (base / "models" / "link-out").symlink_to(base / "outside")
    (base / "models" / "link-within").symlink_to(base / "models" / "good")
    return base


@pytest.fixture(scope="module")
def service(folder: Path) -> ServiceSettings:
    """Of a service that allows a little of everything."""
    return ServiceSettings(
        runs=folder / "runs",
        models=("bundled", "google-bert/bert-base-uncased"),
        models_folder=folder / "models",
        hub_corpora=("stanfordnlp/imdb", "hf:ag_news:test"),
        proposers=("embedded", "keyphrase", "openai:gpt-*", "vllm:Qwen/Qwen3-4B"),
        openai_base_urls=("http://vllm:8000/v1",),
    )


@pytest.fixture(scope="module")
def uploads(service: ServiceSettings) -> Uploads:
    """The uploads of this service."""
    return Uploads(service)


@pytest.fixture(scope="module")
def upload_id(uploads: Uploads) -> str:
    """One of them."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"good\nbad\n"

    return asyncio.run(uploads.save("mine.txt", chunks())).id


def job(**settings: Any) -> RunJob:
    """A run with a setting given by its dotted name, with `__` for each dot."""
    told: dict[str, Any] = {"corpus": "sample"}
    for name, value in settings.items():
        *records, last = name.split("__")
        place = told
        for record in records:
            place = place.setdefault(record, {})
        place[last] = value
    spec = JOB_SPEC.validate_python({"kind": "run", "run": "one", "settings": told})
    assert isinstance(spec, RunJob)
    return spec


LM = ("openai:gpt-x",)

ALLOWED: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "a data set of the hub": {"corpus": "hf:stanfordnlp/imdb"},
    "a split of it": {"corpus": "hf:stanfordnlp/imdb:plain_text:test"},
    "a split that is allowed alone": {"corpus": "hf:ag_news:test"},
    "a model of the list": {"model": "google-bert/bert-base-uncased"},
    "a model of the folder": {"model": "good", "encoder": "link-within"},
    "an LM by a beginning": {"proposers": ("keyphrase", "openai:gpt-x")},
    "an LM by its name": {"proposers": ("vllm:Qwen/Qwen3-4B",)},
    "a server of the list": {
        "proposers": LM,
        "generation__openai__base_url": "http://vllm:8000/v1",
    },
    "thinking turned off": {
        "generation__openai__extra_body": {"chat_template_kwargs": {"enable_thinking": False}}
    },
    "an encoding by an alias": {"reading__encoding": "Latin-1"},
    "an LM as a judge": {"evaluation__judges__lm": "openai:gpt-x"},
    "a quantised model": {"generation__vllm__quantization": "fp8"},
    "a focus": {"generation__prompts__focus": "what ../../customers say about http://x"},
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_allowed(case: str, service: ServiceSettings, uploads: Uploads) -> None:
    spec = job(**ALLOWED[case])
    admitted = admit(spec, service, uploads)
    assert public_spec(admitted) == spec or "folder" in case


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a path": ({"corpus": "/etc/passwd"}, "corpus"),
    "a relative path": ({"corpus": "../runs/one/corpus.parquet"}, "corpus"),
    "a path at home": ({"corpus": "~/.ssh/id_rsa"}, "corpus"),
    "a path as an upload": ({"corpus": "upload:../../../etc"}, "corpus"),
    "an unknown upload": ({"corpus": "upload:0123456789abcdef"}, "corpus"),
    "another data set": ({"corpus": "hf:someone/else"}, "corpus"),
    "a folder as a data set": ({"corpus": "hf:/etc"}, "corpus"),
    "a name that begins alike": ({"corpus": "hf:stanfordnlp/imdb2"}, "corpus"),
    "another split": ({"corpus": "hf:ag_news:train"}, "corpus"),
    "a configuration that is a path": ({"corpus": "hf:stanfordnlp/imdb:../x:train"}, "corpus"),
    "a blank corpus": ({"corpus": ""}, "corpus"),
    "a model of the hub": ({"model": "someone/else"}, "model"),
    "a model's path": ({"model": "/models/good"}, "model"),
    "a way out of the folder": ({"model": "../outside"}, "model"),
    "a link out of the folder": ({"model": "link-out"}, "model"),
    "a folder below": ({"model": "deep/er"}, "model"),
    "the folder itself": ({"model": "."}, "model"),
    "a hidden folder": ({"model": ".hidden"}, "model"),
    "a file": ({"model": "file"}, "model"),
    "activations": ({"model": "neurox:/etc/passwd"}, "model"),
    "an encoder's path": ({"encoder": "/models/good"}, "encoder"),
    "pickled weights": ({"unsafe_weights": True}, "unsafe_weights"),
    "another proposer": ({"proposers": ("keyphrase", "transformers:/models/x")}, "proposers"),
    "another LM": ({"proposers": ("openai:o9",)}, "proposers"),
    "another vLLM model": ({"proposers": ("vllm:Qwen/Qwen3-4B-evil",)}, "proposers"),
    "an inner address": (
        {"proposers": LM, "generation__openai__base_url": "http://169.254.169.254/v1"},
        "generation.openai.base_url",
    ),
    "a server's neighbour": (
        {"proposers": LM, "generation__openai__base_url": "http://vllm:8000/v1/../admin"},
        "generation.openai.base_url",
    ),
    "another model in the body": (
        {"generation__openai__extra_body": {"model": "gpt-expensive"}},
        "generation.openai.extra_body",
    ),
    "a template in the body": (
        {"generation__openai__extra_body": {"chat_template": "{{ 1 }}"}},
        "generation.openai.extra_body",
    ),
    "a proposed revision": (
        {"generation__vllm__revision": "refs/pr/1"},
        "generation.vllm.revision",
    ),
    "an unknown quantisation": (
        {"generation__vllm__quantization": "/plugin"},
        "generation.vllm.quantization",
    ),
    "Ray": (
        {"generation__vllm__distributed_executor_backend": "ray"},
        "generation.vllm.distributed_executor_backend",
    ),
    "a judge": ({"evaluation__judges__lm": "transformers:/models/x"}, "evaluation.judges.lm"),
    "an encoding": ({"reading__encoding": "unicode_escape"}, "reading.encoding"),
    "an encoding that is a path": ({"reading__encoding": "../x"}, "reading.encoding"),
    "an encoding with NUL": ({"reading__encoding": "utf-8\0"}, "reading.encoding"),
    "a huge field name": ({"reading__mapping__text": "x" * 400}, "reading.mapping.text"),
    "many field names": ({"reading__mapping__labels": ["x"] * 60}, "reading.mapping.labels"),
    "many random models": ({"lexical__seeds": 10_000}, "lexical.seeds"),
    "a huge null": ({"matching__null_neurons": 10**9}, "matching.null_neurons"),
    "many repeats": ({"evaluation__stability__repeats": 10**6}, "evaluation.stability.repeats"),
    "a huge item": ({"evaluation__label_recovery__ks": [1, 10**9]}, "evaluation.label_recovery.ks"),
    "a huge strength": (
        {"evaluation__causal__strengths": [1e9]},
        "evaluation.causal.strengths",
    ),
    "a huge seed": ({"seed": 2**200}, "seed"),
    "a seed below": ({"reading__seed": -(2**200)}, "reading.seed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(
    case: str, service: ServiceSettings, uploads: Uploads, folder: Path
) -> None:
    settings, name = REFUSED[case]
    with pytest.raises(InputError, match=f"^{name}: ") as refusal:
        admit(job(**settings), service, uploads)
    assert str(folder) not in str(refusal.value)


def test_an_upload_is_resolved_and_named_back(
    service: ServiceSettings, uploads: Uploads, upload_id: str
) -> None:
    spec = job(corpus=f"upload:{upload_id}")
    admitted = admit(spec, service, uploads)
    assert isinstance(admitted, RunJob)
    assert Path(admitted.settings.corpus) == uploads.path(upload_id)
    assert public_spec(admitted) == spec
    assert public_name(admitted.settings.corpus) == "mine.txt"


def test_a_model_of_the_folder_is_resolved_and_named_back(
    service: ServiceSettings, uploads: Uploads, folder: Path
) -> None:
    spec = job(model="good", encoder="good")
    admitted = admit(spec, service, uploads)
    assert isinstance(admitted, RunJob)
    assert Path(admitted.settings.model) == Path(admitted.settings.encoder)
    assert Path(admitted.settings.model).samefile(folder / "models" / "good")
    assert public_spec(admitted) == spec


def test_jobs_that_go_on_with_a_run_pass(service: ServiceSettings, uploads: Uploads) -> None:
    for kind in ("explain", "evaluate", "rebuild"):
        spec = JOB_SPEC.validate_python({"kind": kind, "run": "one"})
        assert admit(spec, service, uploads) is spec


def test_the_choices_are_those_that_pass(service: ServiceSettings, uploads: Uploads) -> None:
    choices = describe_admission(service)
    assert choices.models == (
        "bundled",
        "google-bert/bert-base-uncased",
        "deep",
        "good",
        "link-within",
    )
    assert choices.corpora == ("sample", "hf:stanfordnlp/imdb", "hf:ag_news:test")
    for corpus in choices.corpora:
        admit(job(corpus=corpus), service, uploads)
    for model in choices.models:
        admit(job(model=model, encoder=model), service, uploads)


@pytest.mark.parametrize("entry", ["*", "vllm:*", "transformers:*", "openai:*-mini", "open*"])
def test_a_wild_entry_of_the_operator_is_refused(entry: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="setting `proposers`"):
        describe_admission(ServiceSettings(runs=tmp_path, proposers=(entry,)))


@given(written=st.text() | st.from_regex(r"(upload:|hf:|neurox:)?[./~a-z:]*", fullmatch=True))
def test_no_text_names_anything_else(
    written: str, service: ServiceSettings, uploads: Uploads, folder: Path
) -> None:
    for setting in ("corpus", "model", "encoder"):
        try:
            admitted = admit(job(**{setting: written}), service, uploads)
        except InputError:
            continue
        assert isinstance(admitted, RunJob)
        found = getattr(admitted.settings, setting)
        assert found in describe_admission(service).corpora + service.models or (
            os.path.dirname(found) == str(folder / "models")
        )


def test_every_encoding_that_is_allowed_can_be_read() -> None:
    for encoding in ENCODINGS:
        check_encoding(encoding)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("sample", "sample"),
        ("bundled", "bundled"),
        ("hf:stanfordnlp/imdb:test", "hf:stanfordnlp/imdb:test"),
        ("google-bert/bert-base-uncased", "google-bert/bert-base-uncased"),
        ("/srv/data/reviews.csv", "reviews.csv"),
        ("data/of/reviews.csv", "reviews.csv"),
        ("~/reviews.csv", "reviews.csv"),
        ("../reviews.csv", "reviews.csv"),
        ("neurox:/srv/activations.json", "neurox:activations.json"),
        (
            "/srv/runs/.neuroscribe/uploads/0123456789abcdef/content.csv",
            "upload:0123456789abcdef",
        ),
    ],
)
def test_names_for_people_hold_no_folders(written: str, shown: str) -> None:
    assert public_name(written) == shown


# What follows holds the tables of admission against the settings themselves.


def fields(record: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting that is no record, by its dotted name."""
    for name, field in record.model_fields.items():
        inner = [kind for kind in kinds(field.annotation) if is_record(kind)]
        for kind in inner:
            yield from fields(kind, f"{before}{name}.")
        if not inner:
            yield f"{before}{name}", field


def kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return
    if typing.get_origin(annotation) is typing.Annotated:
        yield from kinds(arguments[0])
    elif arguments:
        if typing.get_origin(annotation) not in {tuple, types.UnionType, typing.Union}:
            yield typing.get_origin(annotation)
        for argument in arguments:
            if argument is not Ellipsis:
                yield from kinds(argument)
    else:
        yield annotation


def is_record(kind: Any) -> bool:
    """Whether settings are inside it."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_closed(kind: Any) -> bool:
    """Whether nothing but a number or one of a few words can be said by it."""
    return isinstance(kind, type) and issubclass(kind, Enum | bool | int | float | types.NoneType)


def is_number(kind: Any) -> bool:
    """Whether it is a number of any size."""
    return (
        isinstance(kind, type)
        and issubclass(kind, int | float)
        and not issubclass(kind, Enum | bool)
    )


def test_every_setting_that_is_text_was_decided_on() -> None:
    found = dict(fields(RunSettings))
    open_ones = {
        name
        for name, field in found.items()
        if not all(is_closed(kind) for kind in kinds(field.annotation))
    }
    assert {"corpus", "generation.openai.extra_body", "evaluation.judges.lm"} <= open_ones
    assert open_ones - set(DECISIONS) == set(), "new settings: decide on them in service.admission"
    assert set(DECISIONS) - set(found) == set(), "decisions about settings that are gone"


def test_every_number_is_bounded() -> None:
    found = dict(fields(RunSettings))
    unbounded = {
        name
        for name, field in found.items()
        if any(is_number(kind) for kind in kinds(field.annotation))
        and not any(
            isinstance(each, annotated_types.Le | annotated_types.Lt) for each in field.metadata
        )
        and name.split(".")[-1] != "seed"
    }
    assert "lexical.seeds" in unbounded
    levels = {"evaluation.controls.levels"}  # each of them is below 1 by its own type
    assert unbounded - set(LIMITS) - levels == set(), "new numbers: bound them in admission_limits"
    assert set(LIMITS) - set(found) == set(), "limits of settings that are gone"


def test_the_defaults_are_within_the_limits(service: ServiceSettings, uploads: Uploads) -> None:
    admit(job(), service, uploads)


def test_the_walk_would_see_a_new_setting() -> None:
    class Inner(BaseModel):
        """A record with a setting of each open kind."""

        path: Path | None = None
        words: tuple[str, ...] = ()
        body: dict[str, Any] = {}
        count: int = 1

    class Outer(RunSettings):
        """The settings as they might become."""

        inner: Inner | None = None

    found = dict(fields(Outer))
    new = {"inner.path", "inner.words", "inner.body", "inner.count"}
    assert set(found) - set(dict(fields(RunSettings))) == new
    for name in new - {"inner.count"}:
        assert not all(is_closed(kind) for kind in kinds(found[name].annotation)), name
