from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from descriptors.embedded_generator import (
    SHAPE_FILE,
    WEIGHTS,
    WEIGHTS_FILE,
    BeamSettings,
    EmbeddedGenerator,
    _distinct,
    _joined,
)
from descriptors.embedded_model import EmbeddedModel, PrefixInput, build_batch
from descriptors.word_embeddings import (
    END_TOKEN,
    START_TOKEN,
    bundled_tokenizer,
    bundled_word_embeddings,
)
from indexer.errors import InputError

BEAM = BeamSettings(n_beams=4, maximum_tokens=5)


@pytest.fixture(scope="module")
def generator(tiny_generator_folder: Path) -> EmbeddedGenerator:
    return EmbeddedGenerator.load(tiny_generator_folder)


def group(n_sentences: int, n_contrast: int, pieces: tuple[int, ...], seed: int) -> PrefixInput:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n_sentences + n_contrast, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PrefixInput(
        sentences=vectors[:n_sentences],
        mean=vectors[:n_sentences].mean(axis=0),
        contrast=vectors[n_sentences:],
        word_pieces=pieces,
    )


GROUPS = [
    group(1, 0, (), 1),
    group(6, 5, (6046, 2166, 14817, 3715, 25416, 2231, 3976), 2),
    group(3, 0, (6046, 2166), 3),
    group(2, 1, (), 4),
    group(4, 3, (10733,), 5),
]


def test_names_are_distinct_clean_and_fall_in_score(generator: EmbeddedGenerator) -> None:
    found = generator.generate(GROUPS, BEAM)
    assert len(found) == len(GROUPS)
    for each in found:
        assert 1 <= len(each.names) == len(set(each.names)) == len(each.scores) <= 4
        assert np.all(np.diff(each.scores) <= 0.0)
        assert np.all(each.scores < 0.0)
        for name in each.names:
            assert name == name.strip()
            assert "[" not in name
            assert "##" not in name
    assert len({each.names for each in found}) == len(GROUPS)


def test_a_batch_gets_the_names_that_its_groups_get_alone(generator: EmbeddedGenerator) -> None:
    together = generator.generate(GROUPS, BEAM)
    for each, expected in zip(GROUPS, together, strict=True):
        (alone,) = generator.generate([each], BEAM)
        assert alone.names == expected.names
        np.testing.assert_allclose(alone.scores, expected.scores, atol=1e-4)


def test_more_groups_than_a_batch_come_in_order(generator: EmbeddedGenerator) -> None:
    narrow = BeamSettings(n_beams=2, maximum_tokens=1)
    expected = [each.names for each in generator.generate(GROUPS, narrow)]
    found = [each.names for each in generator.generate(GROUPS * 14, narrow)]
    assert found == expected * 14
    assert generator.generate([], narrow) == []


def test_the_same_groups_get_the_same_names(generator: EmbeddedGenerator) -> None:
    first, second = (generator.generate(GROUPS, BEAM) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.names == other.names
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.fixture(scope="module")
def trained(generator: EmbeddedGenerator, tiny_generator_folder: Path) -> EmbeddedModel:
    """The model as training leaves it."""
    model = EmbeddedModel(generator.model.shape, bundled_word_embeddings(), 384)
    weights = load_file(tiny_generator_folder / WEIGHTS_FILE)
    model.load_own_weights({name: weight.float() for name, weight in weights.items()})
    return model.eval()


@torch.no_grad()
def next_log_probabilities(
    model: EmbeddedModel, tokenizer: PreTrainedTokenizerBase, each: PrefixInput, written: list[int]
) -> Tensor:
    """Of every token after those written, by one pass over the whole sequence."""
    prefix = model.prefix(build_batch([each], model.shape, START_TOKEN))
    words = model.decoder.get_input_embeddings()(torch.tensor([written], dtype=torch.long))
    sequence = torch.cat([prefix, words], dim=1)
    logits = model.decoder(inputs_embeds=sequence, use_cache=False).logits[0, -1]
    result: Tensor = logits.double().log_softmax(-1)
    for token, number in tokenizer.get_vocab().items():
        if token[0] == "[" and token[-1] == "]" and number != END_TOKEN:
            result[number] = -torch.inf
    result[written] = -torch.inf
    return result


def best(scores: Tensor, n_best: int) -> list[tuple[float, int]]:
    top = scores.topk(n_best)
    return list(zip(top.values.tolist(), top.indices.tolist(), strict=True))


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_two_tokens_of_beam_search_equal_a_search_by_hand(
    generator: EmbeddedGenerator, trained: EmbeddedModel, number: int
) -> None:
    """Nothing is written twice, no special token at all, and scores are means per token."""
    each, width = GROUPS[number], 4
    tokenizer = generator.tokenizer
    first = best(next_log_probabilities(trained, tokenizer, each, []), 2 * width)
    # A hypothesis that ends among the best of a step is finished; the others go on.
    finished = [(score, [token]) for score, token in first[:width] if token == END_TOKEN]
    running = [(score, token) for score, token in first if token != END_TOKEN][:width]
    second = [
        (score + more, [token, following])
        for score, token in running
        for more, following in best(
            next_log_probabilities(trained, tokenizer, each, [token]), width
        )
    ]
    second.sort(key=lambda pair: -pair[0])
    finished += [(score / 2, tokens) for score, tokens in second[:width]]
    expected: dict[str, float] = {}
    for score, tokens in sorted(finished, key=lambda pair: -pair[0])[:width]:
        name = tokenizer.decode(tokens, skip_special_tokens=True)
        if name:
            expected.setdefault(name, score)
    beam = BeamSettings(n_beams=width, maximum_tokens=2)
    (found,) = generator.generate([each], beam)
    assert list(found.names) == [name.strip("-'’ ") for name in expected]
    np.testing.assert_allclose(found.scores, list(expected.values()), atol=1e-4)


@torch.no_grad()
def test_left_padding_changes_no_log_probability(trained: EmbeddedModel) -> None:
    model = trained
    targets = torch.tensor([[6046, 2166, END_TOKEN]] * len(GROUPS))
    batch = build_batch(GROUPS, model.shape, START_TOKEN)
    together = model(batch, targets).log_softmax(-1).reshape(len(GROUPS), 3, -1)
    for number, each in enumerate(GROUPS):
        one = build_batch([each], model.shape, START_TOKEN)
        alone = model(one, targets[:1]).log_softmax(-1)
        torch.testing.assert_close(together[number], alone, atol=1e-4, rtol=0.0)


def test_no_token_is_written_twice_in_a_name(generator: EmbeddedGenerator) -> None:
    """The tiny decoder would repeat itself: what it reads last is what it finds likeliest."""
    beam = BeamSettings(n_beams=6, maximum_tokens=8)
    written: list[list[int]] = []
    decode = generator.tokenizer.batch_decode

    class Recorder:
        def batch_decode(self, sequences: Tensor, **options: bool) -> list[str]:
            written.extend(sequences.tolist())
            texts: list[str] = decode(sequences, **options)
            return texts

        def get_vocab(self) -> dict[str, int]:
            vocabulary: dict[str, int] = generator.tokenizer.get_vocab()
            return vocabulary

    recorded = EmbeddedGenerator(generator.fingerprint, generator.model, Recorder())  # type: ignore[arg-type]
    recorded.generate(GROUPS, beam)
    assert len(written) == 6 * len(GROUPS)
    for sequence in written:
        assert len(sequence) <= 8
        tokens = [token for token in sequence if token != 0]
        assert len(tokens) == len(set(tokens))


def test_repeating_would_be_likelier_than_what_is_written(
    generator: EmbeddedGenerator, trained: EmbeddedModel
) -> None:
    """Without this the tests above could not fail."""
    likelier = 0
    for each in GROUPS:
        (_, token), *_ = best(next_log_probabilities(trained, generator.tokenizer, each, []), 1)
        targets = torch.tensor([[token, END_TOKEN]])
        with torch.no_grad():
            logits = trained(build_batch([each], trained.shape, START_TOKEN), targets)[1]
        likelier += int(logits.argmax()) == token
    assert likelier > 0


def test_hyphens_and_apostrophes_join_their_words() -> None:
    assert _joined("e - mail") == "e-mail"
    assert _joined("driver ' s licence") == "driver's licence"
    assert _joined("- late -") == "late"
    assert _joined("'") == ""
    found = _distinct(["late", "", "odd", "late"], np.array([-2.0, -0.5, -1.5, -1.0]))
    assert found.names == ("late", "odd")
    assert found.scores.tolist() == [-1.0, -1.5]


def test_weights_come_back_as_saved(
    generator: EmbeddedGenerator, tiny_generator_folder: Path
) -> None:
    saved = load_file(tiny_generator_folder / WEIGHTS_FILE)
    own = {n: p for n, p in generator.model.named_parameters() if p.requires_grad}
    assert own.keys() == saved.keys()
    for name, weight in own.items():
        torch.testing.assert_close(weight.detach(), saved[name].float(), atol=0.0, rtol=0.0)
    words = generator.model.decoder.get_input_embeddings().weight
    expected = bundled_word_embeddings()
    expected[1] = expected[START_TOKEN] + saved["group_prefix.kind.weight"][4].float()
    torch.testing.assert_close(words.detach(), expected, atol=0.0, rtol=0.0)
    assert generator.tokenizer.convert_ids_to_tokens(1) == "[unused0]"
    assert not generator.model.training


def test_start_and_end_are_tokens_of_the_bundled_tokenizer(generator: EmbeddedGenerator) -> None:
    tokenizer = bundled_tokenizer()
    assert tokenizer.convert_ids_to_tokens([START_TOKEN, END_TOKEN, 0]) == [
        "[CLS]",
        "[SEP]",
        "[PAD]",
    ]
    assert generator.pieces("password") == [20786]


def test_the_fingerprint_follows_the_weights(
    generator: EmbeddedGenerator,
    tiny_generator_folder: Path,
    save_tiny_generator: Callable[[Path, int], None],
    tmp_path: Path,
) -> None:
    copied = shutil.copytree(tiny_generator_folder, tmp_path / "copy")
    assert EmbeddedGenerator.load(copied).fingerprint == generator.fingerprint
    save_tiny_generator(tmp_path / "other", 1)
    assert EmbeddedGenerator.load(tmp_path / "other").fingerprint != generator.fingerprint


@pytest.fixture
def folder(tiny_generator_folder: Path, tmp_path: Path) -> Path:
    """A copy of the generator's folder that a test may damage."""
    return shutil.copytree(tiny_generator_folder, tmp_path / "damaged")


@pytest.mark.parametrize("name", [SHAPE_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_an_input_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=r"damaged cannot be loaded: .*Reinstall"):
        EmbeddedGenerator.load(folder)


@pytest.mark.parametrize(
    "shape",
    [
        {"feed_forward": 64},
        {"n_layers": 2},
        {"width": 192},
        {"n_heads": 7},
        {"n_heads": "many"},
        {"unknown": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_wrong_shape_is_an_input_error(folder: Path, shape: dict[str, object]) -> None:
    path = folder / SHAPE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | shape), encoding="utf-8")
    with pytest.raises(InputError):
        EmbeddedGenerator.load(folder)


@pytest.mark.parametrize("wrong", ["unknown", "missing", "shape"])
def test_weights_that_do_not_fit_are_an_input_error(folder: Path, wrong: str) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    first = min(weights)
    if wrong == "unknown":
        weights["decoder.surplus"] = torch.zeros(3)
    elif wrong == "missing":
        del weights[first]
    else:
        weights[first] = weights[first][:-1].contiguous()
    save_file(weights, folder / WEIGHTS_FILE)
    with pytest.raises(InputError, match="1 weights do not fit"):
        EmbeddedGenerator.load(folder)


@pytest.mark.parametrize("name", [SHAPE_FILE, WEIGHTS_FILE])
def test_a_damaged_file_is_an_input_error(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"\xff" * 40):
        (folder / name).write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be loaded"):
            EmbeddedGenerator.load(folder)


def test_the_shipped_weights_are_small_and_half_precision() -> None:
    path = WEIGHTS / WEIGHTS_FILE
    assert path.stat().st_size <= 40_000_000
    assert {weight.dtype for weight in load_file(path).values()} == {torch.float16}
