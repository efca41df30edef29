"""Shared fixtures: tiny models of every supported family, built from their configurations."""

from __future__ import annotations

import os

# Before anything imports torch or a Hugging Face library: no network, and no fight over cores.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Several processes of tests (`pytest -n`) have a core each.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("any_machine", deadline=None)
settings.load_profile("any_machine")

TEXT = (
    "the a an battery charger phone delivery price quality was is and or not very good bad late "
    "fast slow works broke again after before one two three days weeks refund money love hate "
    "colour size fits screen sound loud quiet button case"
)
WORDS = TEXT.split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [*LETTERS, *".,!?'0123456789", *(f"##{letter}" for letter in LETTERS)]
MAXIMUM_TOKENS = 32
N_LAYERS = 2
FFN_UNITS = 48
HIDDEN_UNITS = 32

DISENTANGLED = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertConfig", {}),
    "roberta": ("RobertaConfig", {}),
    "xlm-roberta": ("XLMRobertaConfig", {}),
    "distilbert": ("DistilBertConfig", {}),
    "electra": ("ElectraConfig", {"embedding_size": 16}),
    "mpnet": ("MPNetConfig", {}),
    "deberta": ("DebertaConfig", DISENTANGLED),
    "deberta-v2": ("DebertaV2Config", DISENTANGLED),
    "deberta-v2-convolution": ("DebertaV2Config", DISENTANGLED | {"conv_kernel_size": 3}),
    "modernbert": (
        "ModernBertConfig",
        {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    ),
}


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """As many as a task on a cluster has: on some processors more round otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def one_faiss_thread() -> Iterator[None]:
    """FAISS's threads wait for each other by spinning: many times slower on busy cores."""
    from indexer.faiss_module import faiss_module

    faiss = faiss_module()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.fixture(params=sorted(CONFIGURATIONS))
def family(request: pytest.FixtureRequest) -> str:
    """Every supported family in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random model of a family, with its tokenizer; built once a session."""
    built: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in built:
            built[family] = tmp_path_factory.mktemp(family)
            save_tiny_model(family, built[family])
        return built[family]

    return folder


@pytest.fixture(scope="session")
def save_model() -> Callable[[str, Path], None]:
    """Saves a tiny random model of a family to a folder of the test's own."""
    return save_tiny_model


@pytest.fixture(scope="session")
def ray_node() -> dict[str, Any]:
    """A node of one core with little memory for objects."""
    return {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def two_ray_nodes(ray_node: dict[str, Any]) -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("RAY_ADDRESS", raising=False)
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Other threads than those asked for, which the workers have to overcome.
        environment.setenv("OMP_NUM_THREADS", "2")
        head = ray_node | {"include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(**ray_node)
            yield cluster
        finally:
            cluster.shutdown()


def save_tiny_model(family: str, folder: Path) -> None:
    """Save a random model of `family` and its tokenizer to `folder`."""
    import torch
    from transformers import AutoModel

    tokenizer = build_tokenizer(family)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = AutoModel.from_config(_configuration(family, tokenizer))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def build_tokenizer(family: str) -> Any:
    """A fast tokenizer in the style of `family`: byte-level BPE for RoBERTa, else WordPiece."""
    from transformers import PreTrainedTokenizerFast

    byte_level = family in {"roberta", "modernbert"}
    backend = _byte_level_backend() if byte_level else _word_piece_backend()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token="<s>" if byte_level else "[CLS]",
        sep_token="</s>" if byte_level else "[SEP]",
        pad_token="<pad>" if byte_level else "[PAD]",
        unk_token="<unk>" if byte_level else "[UNK]",
        mask_token="<mask>" if byte_level else "[MASK]",
        model_max_length=MAXIMUM_TOKENS,
    )


def _word_piece_backend() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    specials = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*specials, *WORDS, *PIECES]
    vocabulary = {piece: row for row, piece in enumerate(dict.fromkeys(entries))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return backend


def _byte_level_backend() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<unk>", "<pad>", "<s>", "</s>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([TEXT] * 3, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        special_tokens=[("<s>", backend.token_to_id("<s>")), ("</s>", backend.token_to_id("</s>"))],
    )
    return backend


def _configuration(family: str, tokenizer: Any) -> Any:
    import transformers

    class_name, own = CONFIGURATIONS[family]
    sizes = {
        "hidden_size": HIDDEN_UNITS,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": FFN_UNITS,
    }
    if family == "distilbert":
        sizes = {"dim": HIDDEN_UNITS, "n_layers": N_LAYERS, "n_heads": 4, "hidden_dim": FFN_UNITS}
    return getattr(transformers, class_name)(
        vocab_size=len(tokenizer),
        max_position_embeddings=MAXIMUM_TOKENS + tokenizer.pad_token_id + 1,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
        **own,
    )
