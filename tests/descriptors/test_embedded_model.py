from __future__ import annotations

import pytest
import torch
from torch import Tensor

from descriptors.embedded_model import (
    DecoderShape,
    EmbeddedModel,
    GroupPrefix,
    PrefixInput,
    build_batch,
)
from indexer.errors import InputError

VOCABULARY, DIMENSION, START = 60, 10, 7
SHAPE = DecoderShape(
    width=16, n_layers=2, n_heads=2, feed_forward=24, n_sentences=3, n_contrast=2, n_word_pieces=4
)
MEAN, SENTENCE, CONTRAST, WORD, BEGIN = range(5)


@pytest.fixture(scope="module")
def model() -> EmbeddedModel:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        built = EmbeddedModel(SHAPE, torch.randn(VOCABULARY, SHAPE.width), DIMENSION)
        for weight in built.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.2)
    return built.eval()


def group(n_sentences: int, n_contrast: int, n_pieces: int, seed: int = 0) -> PrefixInput:
    random = torch.Generator().manual_seed(seed)
    vectors = torch.nn.functional.normalize(
        torch.randn(n_sentences + n_contrast, DIMENSION, generator=random), dim=1
    ).numpy()
    pieces = torch.randint(8, VOCABULARY, (n_pieces,), generator=random)
    return PrefixInput(
        sentences=vectors[:n_sentences],
        mean=vectors[:n_sentences].mean(axis=0),
        contrast=vectors[n_sentences:],
        word_pieces=tuple(pieces.tolist()),
    )


GROUPS = [group(1, 0, 0, 1), group(5, 4, 9, 2), group(2, 1, 0, 3), group(3, 0, 2, 4)]


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0.0)


def test_the_layout_by_hand() -> None:
    small, large = group(1, 0, 1), group(5, 4, 9)
    batch = build_batch([small, large], SHAPE, START)
    assert batch.kinds.tolist() == [
        [0] * 8 + [MEAN, SENTENCE, WORD, BEGIN],
        [MEAN] + [SENTENCE] * 3 + [CONTRAST] * 3 + [WORD] * 4 + [BEGIN],
    ]
    assert batch.mask.tolist() == [[0] * 8 + [1] * 4, [1] * 12]
    assert batch.word_ids.tolist() == [
        [0] * 10 + [small.word_pieces[0], START],
        [0] * 7 + [*large.word_pieces[:4], START],
    ]
    expected = torch.zeros(2, 12, DIMENSION)
    expected[0, 8] = torch.from_numpy(small.mean)
    expected[0, 9] = torch.from_numpy(small.sentences[0])
    expected[1, 0] = torch.from_numpy(large.mean)
    expected[1, 1:4] = torch.from_numpy(large.sentences[:3])
    expected[1, 4] = torch.from_numpy(large.contrast.mean(axis=0))
    expected[1, 5:7] = torch.from_numpy(large.contrast[:2])
    close(batch.vectors, expected, 1e-7)


def test_the_prefix_by_hand(model: EmbeddedModel) -> None:
    each = group(2, 1, 2)
    found = model.prefix(build_batch([each], SHAPE, START))[0]
    linear, activation, narrow = model.group_prefix.map
    read = torch.from_numpy(each.sentences)
    mapped = narrow(activation(linear(read * DIMENSION**0.5)))
    kind = model.group_prefix.kind.weight
    words = model.decoder.get_input_embeddings().weight
    close(found[1:3], mapped + kind[GroupPrefix.SENTENCE])
    close(found[5:7], words[list(each.word_pieces)] + kind[GroupPrefix.WORD])
    close(found[7], words[START] + kind[GroupPrefix.START])
    assert found.shape == (8, SHAPE.width)


def by_hand(model: EmbeddedModel, each: PrefixInput, target: list[int]) -> Tensor:
    """Logits of the target's tokens by one pass over prefix and target, nothing padded."""
    prefix = model.prefix(build_batch([each], SHAPE, START))
    words = model.decoder.get_input_embeddings()(torch.tensor([target]))
    logits: Tensor = model.decoder(
        inputs_embeds=torch.cat([prefix, words], dim=1), use_cache=False
    ).logits
    first = prefix.shape[1] - 1
    return logits[0, first : first + len(target)]


TARGETS = [[9], [20, 30, 40, 50], [11, 12, 13], [8, 59]]


@torch.no_grad()
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2], [0, 0, 1]])
def test_logits_of_a_batch_equal_one_pass_for_each(model: EmbeddedModel, order: list[int]) -> None:
    targets = torch.zeros(len(order), 5, dtype=torch.long)
    for row, number in enumerate(order):
        targets[row, : len(TARGETS[number])] = torch.tensor(TARGETS[number])
    found = model(build_batch([GROUPS[i] for i in order], SHAPE, START), targets)
    expected = torch.cat([by_hand(model, GROUPS[i], TARGETS[i]) for i in order])
    assert found.shape == (sum(len(TARGETS[i]) for i in order), VOCABULARY)
    close(found.log_softmax(-1), expected.log_softmax(-1), 1e-4)


@torch.no_grad()
def test_a_logit_knows_nothing_of_the_tokens_after_it(model: EmbeddedModel) -> None:
    batch = build_batch([GROUPS[1]], SHAPE, START)
    first = model(batch, torch.tensor([[20, 30, 40]]))
    second = model(batch, torch.tensor([[20, 30, 50]]))
    close(first, second)
    third = model(batch, torch.tensor([[20, 31, 40]]))
    close(first[:2], third[:2])
    assert not torch.allclose(first[2], third[2], atol=1e-3)


def test_word_embeddings_are_frozen_and_serve_as_output(model: EmbeddedModel) -> None:
    words = model.decoder.get_input_embeddings().weight
    assert not words.requires_grad
    assert model.decoder.lm_head.weight is words
    assert all(p.requires_grad for p in model.parameters() if p is not words)


def own_weights(model: EmbeddedModel) -> dict[str, Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def test_own_weights_are_all_that_is_needed(model: EmbeddedModel) -> None:
    words = model.decoder.get_input_embeddings().weight.detach()
    other = EmbeddedModel(SHAPE, words, DIMENSION).eval()
    batch, targets = build_batch(GROUPS, SHAPE, START), torch.tensor([[9, 10]] * 4)
    assert not torch.allclose(other(batch, targets), model(batch, targets), atol=1e-3)
    other.load_own_weights(own_weights(model))
    close(other(batch, targets), model(batch, targets))


@pytest.mark.parametrize("wrong", ["missing", "surplus", "shape"])
def test_weights_of_another_model_are_told(model: EmbeddedModel, wrong: str) -> None:
    weights = own_weights(model)
    if wrong == "missing":
        del weights["group_prefix.kind.weight"]
        name = "group_prefix.kind.weight"
    elif wrong == "surplus":
        name = "decoder.model.embed_tokens.weight"
        weights[name] = torch.zeros(VOCABULARY, SHAPE.width)
    else:
        name = "group_prefix.map.0.bias"
        weights[name] = weights[name][:-1]
    with pytest.raises(ValueError, match=f"1 weights do not fit, for example \\['{name}'"):
        model.load_own_weights(weights)


def test_word_embeddings_of_another_width_are_told() -> None:
    with pytest.raises(InputError, match="have 12 numbers, expected 16"):
        EmbeddedModel(SHAPE, torch.zeros(VOCABULARY, 12), DIMENSION)
