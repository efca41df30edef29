"""A tiny embedded generator with random weights, saved as training saves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def save_tiny_generator() -> Callable[[Path, int], None]:
    """Saves a random generator, its weights drawn with a seed, to a folder."""
    return _save_tiny_generator


@pytest.fixture(scope="session")
def tiny_generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random generator that shares the bundled encoder's word embeddings."""
    folder = tmp_path_factory.mktemp("tiny_generator")
    _save_tiny_generator(folder, 0)
    return folder


def _save_tiny_generator(folder: Path, seed: int) -> None:
    import torch
    from safetensors.torch import save_file

    from descriptors.embedded_generator import SHAPE_FILE, WEIGHTS_FILE
    from descriptors.embedded_model import DecoderShape, EmbeddedModel
    from descriptors.word_embeddings import bundled_word_embeddings

    shape = DecoderShape(n_layers=1, n_heads=2, feed_forward=32, n_sentences=4, n_word_pieces=6)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = EmbeddedModel(shape, bundled_word_embeddings(), 384)
        own = {name: p for name, p in model.named_parameters() if p.requires_grad}
        for weight in own.values():
            torch.nn.init.normal_(weight, std=0.1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SHAPE_FILE).write_text(shape.model_dump_json(), encoding="utf-8")
    halves = {name: weight.detach().half().contiguous() for name, weight in own.items()}
    save_file(halves, folder / WEIGHTS_FILE)
