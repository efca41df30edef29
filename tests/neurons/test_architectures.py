from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import InputError
from neurons.architectures import describe
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel

NAMES = {
    "bert": "BERT",
    "roberta": "RoBERTa",
    "xlm-roberta": "XLM-R",
    "distilbert": "DistilBERT",
    "electra": "ELECTRA",
    "mpnet": "MPNet",
    "deberta": "DeBERTa",
    "deberta-v2": "DeBERTa v2",
    "deberta-v2-convolution": "DeBERTa v2",
    "modernbert": "ModernBERT",
}


def test_describes_every_family(family: str, tiny_model: Callable[[str], Path]) -> None:
    architecture = SubjectModel.load(str(tiny_model(family)), "cpu").architecture

    assert architecture.family == NAMES[family]
    assert architecture.n_layers == len(architecture.blocks) == 2
    assert architecture.units(Site.FFN) == 48
    assert architecture.units(Site.HIDDEN) == 32
    assert architecture.layer_sites([Site.HIDDEN, Site.FFN]) == (
        LayerSite(0, Site.FFN),
        LayerSite(0, Site.HIDDEN),
        LayerSite(1, Site.FFN),
        LayerSite(1, Site.HIDDEN),
    )


def test_longest_input_really_is_the_longest(
    family: str, tiny_model: Callable[[str], Path]
) -> None:
    import torch

    subject = SubjectModel.load(str(tiny_model(family)), "cpu")
    token_ids = torch.full((1, subject.architecture.maximum_positions), 7)
    mask = torch.ones_like(token_ids)
    with torch.inference_mode():
        subject.model(input_ids=token_ids, attention_mask=mask)
        if family in {"bert", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet"}:
            longer = torch.full((1, subject.architecture.maximum_positions + 1), 7)
            with pytest.raises((IndexError, RuntimeError)):
                subject.model(input_ids=longer, attention_mask=torch.ones_like(longer))


def test_an_unknown_architecture_is_named_with_the_supported_ones() -> None:
    from transformers import GPT2Config, GPT2Model

    model = GPT2Model(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=11))
    with pytest.raises(InputError, match=r"'gpt2'.*BERT \(bert\).*ModernBERT \(modernbert\)"):
        describe(model)


def test_a_task_model_instead_of_its_base_encoder_is_refused() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with pytest.raises(InputError, match="no known feed-forward network"):
        describe(BertForSequenceClassification(config))


@pytest.mark.parametrize("layer", [2, 99])
def test_a_layer_beyond_the_last_is_refused(layer: int, tiny_model: Callable[[str], Path]) -> None:
    architecture = SubjectModel.load(str(tiny_model("bert")), "cpu").architecture
    with pytest.raises(InputError, match=f"L{layer}.ffn does not exist.*2 layers, L0 to L1"):
        architecture.capture_point(LayerSite(layer, Site.FFN))
