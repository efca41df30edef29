"""The options that commands share, and how they become settings.

Defaults are written out here, so that `--help` shows them without loading anything; a test holds
them equal to those of `RunSettings`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from indexer.errors import InputError

if TYPE_CHECKING:
    from service.settings import RunSettings


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `run`, `plan` and `catalog` are told."""

    corpus: Annotated[
        str,
        typer.Option(
            help="A file (.jsonl .csv .tsv .parquet .txt, also .gz), hf:NAME, or 'sample'."
        ),
    ]
    model: Annotated[
        str, typer.Option(help="Subject model: a Hub id, a folder, 'bundled', or neurox:FILE.")
    ] = "bundled"
    encoder: Annotated[
        str, typer.Option(help="Sentence encoder: a Hub id, a folder, or 'bundled'.")
    ] = "bundled"
    proposer: Annotated[
        list[str] | None,
        typer.Option(
            help="What proposes descriptors: embedded|keyphrase|transformers:ID|vllm:ID|"
            "openai:MODEL; repeat to unite several. Default: embedded and keyphrase"
        ),
    ] = None
    groups: Annotated[
        list[str] | None,
        typer.Option(
            help="Where groups of sentences come from, embeddings or neurons; repeat for both: "
            "then neurons take part if they follow such groups more closely. Default: both"
        ),
    ] = None
    focus: Annotated[
        str | None,
        typer.Option(
            help="What descriptors are to be about, for example 'whether the customer is "
            "satisfied': steers which sentences are grouped and what generative LMs are asked."
        ),
    ] = None
    prompt_style: Annotated[
        Literal["group", "paper"],
        typer.Option(help="What a generative LM is asked about: a group, or single sentences."),
    ] = "group"
    max_requests: Annotated[
        int | None, typer.Option(help="Stop each openai:MODEL after so many requests.")
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(help="Stop each openai:MODEL after so many tokens, prompts included."),
    ] = None
    lm_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Another setting of generative LMs, for example openai.concurrency=16 or "
            "sampling.temperature=0.7; repeatable. A wrong key lists them all.",
        ),
    ] = None
    out: Annotated[Path | None, typer.Option(help="Run folder. Default: runs/<corpus>-<model>")] = (
        None
    )
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0
    grouping_seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Other starts for forming groups, on the same splits: what moves is luck.",
        ),
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where models are computed.")
    ] = "auto"
    site: Annotated[
        list[str] | None,
        typer.Option(help="Where neurons sit, ffn or hidden; repeat for both. Default: both"),
    ] = None
    pooling: Annotated[
        Literal["max", "mean", "cls"], typer.Option(help="How tokens become one activation.")
    ] = "max"
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(
            help="Numbers the subject model computes with; less than float32 is faster on a GPU, "
            "and the run's manifest says how far activations move."
        ),
    ] = "float32"
    long_texts: Annotated[
        Literal["truncate", "window"],
        typer.Option(
            help="Sentences longer than the subject model reads lose their end, or are read in "
            "overlapping windows."
        ),
    ] = "truncate"
    lexical_seeds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Models of random weights that matches are compared with, each at the cost of "
            "reading the corpus once more; 0 leaves the lexical baseline out.",
        ),
    ] = 1
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="What to judge the run by, repeatable; `neuroscribe evaluate --help` lists all. "
            "Default: label_recovery, controls, observational and stability"
        ),
    ] = None
    engine: Annotated[
        str,
        typer.Option(
            help="Where embedding and extraction run: local; ray (this machine's cores, or the "
            "cluster it belongs to); ray://HOST:PORT."
        ),
    ] = "local"
    unsafe_weights: Annotated[
        bool,
        typer.Option("--unsafe-weights", help="Also read pickled weights, which can run code."),
    ] = False
    text_field: Annotated[str, typer.Option(help="Field that holds the text.")] = "text"
    id_field: Annotated[
        str | None,
        typer.Option(help="Field that holds the id. Default: id if any"),
    ] = None
    labels_field: Annotated[
        list[str] | None,
        typer.Option(
            help="Field of labels, seen by the evaluation only; repeatable. Default: labels",
        ),
    ] = None
    document_field: Annotated[
        str | None,
        typer.Option(
            help="Field that names the document; documents are never split. Default: document "
            "if any",
        ),
    ] = None
    segment: Annotated[
        Literal["sentence", "none"],
        typer.Option(help="Take long texts apart into sentences, or not."),
    ] = "sentence"
    splits: Annotated[
        str,
        typer.Option(help="discover/validation/test, in percent."),
    ] = "50/15/35"
    limit: Annotated[
        int | None,
        typer.Option(help="Read only this many texts."),
    ] = None
    encoding: Annotated[str, typer.Option(help="Encoding of text files.")] = "utf-8"


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How exact a plan is to be, and what an LM costs; only `plan` takes these."""

    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare",
            help="Do in the run folder all that comes before an LM is asked, and plan with the "
            "run's own groups; `run` goes on from there.",
        ),
    ] = False
    pilot: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Also ask each generative LM about N of the groups and learn from the answers, "
            "which the run does not pay for again.",
        ),
    ] = None
    price_prompt: Annotated[
        float | None, typer.Option(min=0.0, help="Money for a million tokens of prompts.")
    ] = None
    price_completion: Annotated[
        float | None, typer.Option(min=0.0, help="Money for a million tokens of answers.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How a command answers; every command takes these."""

    json: Annotated[
        bool, typer.Option("--json", help="Result as JSON on stdout, nothing else there.")
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress bars, no notes; errors only.")
    ] = False

    @property
    def progress(self) -> bool:
        """Whether progress bars are shown: on a terminal, unless `quiet`."""
        return not self.quiet and sys.stderr.isatty()


def settings_from(options: RunOptions) -> RunSettings:
    """The settings that `options` ask for.

    Raises:
        InputError: an option's value is not possible; the message names the option.
    """
    from pydantic import ValidationError

    from descriptors.splits import SplitFractions
    from service.complaints import complaints
    from service.generation_options import generation_asked
    from service.settings import RunSettings

    asked: dict[str, Any] = {
        "corpus": options.corpus,
        "model": options.model,
        "encoder": options.encoder,
        "seed": options.seed,
        "device": options.device,
        "unsafe_weights": options.unsafe_weights,
        "reading": {
            "mapping": {
                "text": options.text_field,
                "id": options.id_field,
                "document": options.document_field,
                **({"labels": options.labels_field} if options.labels_field else {}),
            },
            "segment": options.segment,
            "fractions": SplitFractions.parse(options.splits),
            "seed": options.seed,
            "encoding": options.encoding,
            "limit": options.limit,
        },
        "extraction": {
            "pooling": options.pooling,
            "precision": options.precision,
            "long_texts": options.long_texts,
            **({"sites": options.site} if options.site else {}),
        },
        "lexical": {"seeds": options.lexical_seeds},
        "grouping": {"seed": options.grouping_seed},
        **({"evaluation": {"protocols": options.protocol}} if options.protocol else {}),
        **({"proposers": options.proposer} if options.proposer else {}),
        **({"group_sources": options.groups} if options.groups else {}),
        "generation": generation_asked(options),
    }
    try:
        return RunSettings.model_validate(asked)
    except ValidationError as error:
        raise InputError("; ".join(complaints(error.errors()))) from error


def default_out(options: RunOptions) -> Path:
    """The run folder: the one asked for, else `runs/<corpus>-<model>`."""
    return options.out or Path("runs") / f"{_short(options.corpus)}-{_short(options.model)}"


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take its options as one record each, where typer wants single parameters."""
    groups = {
        name: hint
        for name, hint in get_type_hints(command).items()
        if is_dataclass(hint) and isinstance(hint, type)
    }
    parameters = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        group = groups.get(parameter.name)
        parameters += [parameter] if group is None else _parameters(group)

    def call(**values: Any) -> None:
        records = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**records, **values)

    signature = inspect.Signature(
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    call.__name__ = command.__name__
    call.__doc__ = command.__doc__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__dict__["__signature__"] = signature
    return call


def _parameters(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _short(source: str) -> str:
    name = source.removeprefix("hf:") if source.startswith("hf:") else Path(source).name
    name = re.sub(r"\.(gz|jsonl|json|csv|tsv|parquet|txt)\b", "", name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
