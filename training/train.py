"""Trains the embedded generator: `make train-embedded`; a stopped training goes on where it was."""

from __future__ import annotations

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from descriptors.embedded_model import DecoderShape, EmbeddedModel, PrefixInput, build_batch
from descriptors.word_embeddings import END_TOKEN, START_TOKEN
from training import sources
from training.examples import ExampleDrawer, build_groups
from training.material import gather

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MOST_TARGET_PIECES = 10


@dataclass(frozen=True)
class Schedule:
    """How training goes: steps, examples a step, and the learning rate's rise and fall.

    The rate falls to its end at the last of `kept_steps`. What is kept is the mean of the averaged
    weights at `kept_steps`.
    """

    kept_steps: tuple[int, ...] = (550, 700)
    batch: int = 160
    peak_rate: float = 1.5e-3
    warm_up: int = 150
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    averaging: float = 0.998

    def rate(self, step: int) -> float:
        """Linear warm-up, then a cosine down to a fiftieth of the peak."""
        if step < self.warm_up:
            return self.peak_rate * (step + 1) / self.warm_up
        done = min(1.0, (step - self.warm_up) / (max(self.kept_steps) - self.warm_up))
        return self.peak_rate * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * done)))


def targets_of(names: list[str], tokenizer: PreTrainedTokenizerBase) -> Tensor:
    """Token ids of names, ended and padded with 0 (`batch, longest`)."""
    ids = [
        [
            *tokenizer.encode(name, add_special_tokens=False)[:_MOST_TARGET_PIECES],
            END_TOKEN,
        ]
        for name in names
    ]
    longest = max(len(each) for each in ids)
    return torch.tensor([each + [0] * (longest - len(each)) for each in ids])


def loss_of(
    model: EmbeddedModel, inputs: list[PrefixInput], targets: Tensor, smoothing: float
) -> Tensor:
    """Mean cross-entropy of the names' tokens."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(build_batch(inputs, model.shape, START_TOKEN), targets)
    return functional.cross_entropy(
        logits.float(), targets[targets != 0], label_smoothing=smoothing
    )


class Trainer:
    """A model, its optimizer and the average of its weights, which is what is kept."""

    def __init__(self, model: EmbeddedModel, schedule: Schedule, folder: Path) -> None:
        self.model = model
        self.schedule = schedule
        self.folder = folder
        self.step = 0
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained,
            lr=schedule.peak_rate,
            betas=(0.9, 0.98),
            weight_decay=schedule.weight_decay,
        )
        self.average = [p.detach().clone() for p in self.trained]

    def train_on(self, inputs: list[PrefixInput], targets: Tensor) -> float:
        """One step; the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        loss = loss_of(self.model, inputs, targets, self.schedule.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.step += 1
        decay = min(self.schedule.averaging, self.step / (self.step + 10.0))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list[Tensor](self.trained), 1.0 - decay)
        return float(loss.detach())

    def save(self) -> None:
        """Write everything that resuming needs, as safetensors."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for number, (parameter, average) in enumerate(zip(self.trained, self.average, strict=True)):
            state = self.optimizer.state[parameter]
            tensors[f"weight.{number}"] = parameter.detach()
            tensors[f"average.{number}"] = average
            tensors[f"first.{number}"] = state["exp_avg"]
            tensors[f"second.{number}"] = state["exp_avg_sq"]
        partial = self.folder / "checkpoint.partial"
        save_file(
            {n: t.contiguous() for n, t in tensors.items()}, partial, {"step": str(self.step)}
        )
        partial.replace(self.folder / "checkpoint.safetensors")

    def resume(self) -> None:
        """Go on from a checkpoint, if there is one."""
        path = self.folder / "checkpoint.safetensors"
        if not path.is_file():
            return
        from safetensors import safe_open

        with safe_open(path, "pt") as opened:
            self.step = int(opened.metadata()["step"])
        tensors = load_file(path)
        with torch.no_grad():
            for number, parameter in enumerate(self.trained):
                parameter.copy_(tensors[f"weight.{number}"])
                self.average[number].copy_(tensors[f"average.{number}"])
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": tensors[f"first.{number}"],
                    "exp_avg_sq": tensors[f"second.{number}"],
                }

    def keep(self) -> None:
        """Write the averaged weights of this step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: average.clone() for name, average in self.averaged().items()},
            self.folder / f"kept-{self.step}.safetensors",
        )

    def averaged(self) -> dict[str, Tensor]:
        """The averaged weights under their names, without the frozen word embeddings."""
        names = [name for name, p in self.model.named_parameters() if p.requires_grad]
        return dict(zip(names, self.average, strict=True))


def main(
    out: Annotated[Path, typer.Option(help="Working folder: checkpoints and weights.")],
    seed: Annotated[int, typer.Option(help="Of weights and of every draw.")] = 0,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 50,
) -> None:
    """Train the embedded generator on the development data and on our own groups."""
    if not sources.SHARED.is_dir():
        raise typer.BadParameter(
            f"found no {sources.SHARED}; training reads the development data, which is no part of "
            "the project. The trained weights are in descriptors/embedded_weights."
        )
    torch.manual_seed(seed)
    material = gather(out)
    shape, schedule = DecoderShape(), Schedule()
    groups = build_groups(material.named, material.nouns, material.texts, material.vectors, seed)
    drawer = ExampleDrawer(groups, material.texts, material.vectors, material.pieces, shape)
    print("groups", dict(drawer.counts), flush=True)
    model = EmbeddedModel(shape, material.word_embeddings, material.vectors.shape[1])
    trainer = Trainer(model, schedule, out)
    trainer.resume()

    def draw(step: int) -> tuple[list[PrefixInput], Tensor]:
        drawn = drawer.draw(schedule.batch, np.random.default_rng([seed, step]))
        return [prefix for prefix, _ in drawn], targets_of(
            [name for _, name in drawn], material.tokenizer
        )

    began, losses = time.monotonic(), []
    # Drawing takes a sixth of a step; a step ahead on another core it costs nothing.
    with ThreadPoolExecutor(max_workers=1) as ahead:
        drawn = ahead.submit(draw, trainer.step)
        while trainer.step < max(schedule.kept_steps):
            inputs, targets = drawn.result()
            drawn = ahead.submit(draw, trainer.step + 1)
            losses.append(trainer.train_on(inputs, targets))
            if trainer.step in schedule.kept_steps:
                trainer.keep()
            if trainer.step % save_every == 0:
                trainer.save()
                seconds = time.monotonic() - began
                print(trainer.step, f"{np.mean(losses):.3f}", f"{seconds:.0f}s", flush=True)
                losses = []
    write_weights(out, schedule, shape)


def write_weights(out: Path, schedule: Schedule, shape: DecoderShape) -> None:
    """The mean of what was kept, in float16, and the shape that fits it."""
    kept = [load_file(out / f"kept-{step}.safetensors") for step in schedule.kept_steps]
    mean = {name: torch.stack([each[name] for each in kept]).mean(dim=0) for name in kept[0]}
    save_file({name: each.half() for name, each in mean.items()}, out / "model.safetensors")
    (out / "shape.json").write_text(json.dumps(shape.model_dump()))


if __name__ == "__main__":
    typer.run(main)
