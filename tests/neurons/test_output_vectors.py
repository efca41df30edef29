from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.encoder import SentenceEncoder
from neurons.output_vectors import SentenceEmbedding, output_vectors, same_space
from neurons.subject import SubjectModel

TEXTS = ["the battery broke again", "good", "late delivery or slow refund, not very good", "or"]


@pytest.fixture
def subject(family: str, tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model(family)), "cpu")


def test_the_mean_over_all_tokens_at_length_one(subject: SubjectModel) -> None:
    vectors = output_vectors(subject, TEXTS, SentenceEmbedding(), token_budget=24)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.inference_mode():
            ids = subject.tokenizer(text, return_tensors="pt")["input_ids"]
            hidden = subject.model(input_ids=ids).last_hidden_state[0].double().numpy()
        mean = hidden.mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=2e-5)


def test_it_is_the_bundled_encoder() -> None:
    subject = SubjectModel.load("bundled", "cpu")
    encoded = SentenceEncoder.load("bundled", "cpu").encode(TEXTS)
    vectors = output_vectors(subject, TEXTS, SentenceEmbedding())
    np.testing.assert_allclose(vectors, encoded, atol=1e-5)
    assert same_space(vectors, encoded)


def test_spaces_are_told_apart() -> None:
    vectors = np.eye(3, 4, dtype=np.float32)
    turned = vectors.copy()
    turned[2] = [0.0, 0.0, 0.9, 0.436]
    assert same_space(vectors, vectors)
    assert not same_space(vectors, turned)
    assert not same_space(vectors, vectors[:, :3])


def test_no_texts_are_refused(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu")
    with pytest.raises(ValueError, match="there are no texts"):
        output_vectors(subject, [], SentenceEmbedding())
