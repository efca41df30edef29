from __future__ import annotations

import json
import logging
import resource
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from indexer.arrays import FloatArray
from indexer.errors import InputError, RunError
from neurons.neurox import NeuroxSentence
from neurons.neurox_hdf5 import NeuroxHdf5, write_neurox_hdf5
from neurons.neurox_json import NeuroxJson, write_neurox_json
from neurons.neurox_pooling import NeuroxPoolingSettings, pool_to_store
from neurons.records import LayerSite, Pooling, Site
from neurons.store import ActivationStore, ExtractionReport
from neurons.store_writer import StoreWriter

h5py = pytest.importorskip("h5py", reason="h5py is not installed; `pip install h5py`")

WORDS = [["the", "bank", "closed"], ["a", "river"], ["the", "bank", "closed"], ["yes"]]


def random_activations(seed: int, n_layers: int, n_tokens: int, n_units: int = 4) -> FloatArray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n_layers, n_tokens, n_units)).astype(np.float32)


def as_sentences(words: Sequence[Sequence[str]], n_layers: int = 3) -> list[NeuroxSentence]:
    return [
        NeuroxSentence.from_tokens(row, tokens, random_activations(row, n_layers, len(tokens)))
        for row, tokens in enumerate(words)
    ]


def neurox_hdf5(path: Path, sentences: Iterable[NeuroxSentence]) -> None:
    """An HDF5 file, by the calls that NeuroX 1.0.9 makes."""
    index: dict[str, str] = {}
    with h5py.File(path, "w") as file:
        for sentence in sentences:
            array = sentence.activations
            file.create_dataset(str(sentence.index), array.shape, dtype="float32", data=array)
            name, occurrence = sentence.text, 1
            while name in index:
                occurrence += 1
                name = f"{sentence.text} (Occurrence {occurrence})"
            index[str(name)] = str(sentence.index)
        stored = file.create_dataset("sentence_to_index", (1,), dtype=h5py.special_dtype(vlen=str))
        stored[0] = json.dumps(index)


def neurox_json(path: Path, sentences: Iterable[NeuroxSentence]) -> None:
    """A JSON file, with the keys, their order and the 8 decimals of NeuroX 1.0.9."""
    with path.open("w", encoding="utf-8") as handle:
        for sentence in sentences:
            features = [
                {
                    "token": token,
                    "layers": [
                        {"index": layer, "values": [round(value, 8) for value in values.tolist()]}
                        for layer, values in enumerate(sentence.activations[:, place])
                    ],
                }
                for place, token in enumerate(sentence.tokens or ())
            ]
            line = {"linex_index": sentence.index, "features": features}
            handle.write(json.dumps(line) + "\n")


def hdf5_by_hand(path: Path, index: object, datasets: dict[str, Any]) -> Path:
    """An HDF5 file of any content; `index` becomes JSON unless it is a string or None."""
    with h5py.File(path, "w") as file:
        for name, content in datasets.items():
            file[name] = content
        if index is not None:
            stored = file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype())
            stored[0] = index if isinstance(index, str) else json.dumps(index)
    return path


def assert_same(found: Iterable[NeuroxSentence], expected: Iterable[NeuroxSentence]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one.index, one.text, one.tokens) == (other.index, other.text, other.tokens)
        assert one.activations.dtype == np.float32
        np.testing.assert_array_equal(one.activations, other.activations)


def test_reads_the_hdf5_that_neurox_writes(tmp_path: Path) -> None:
    neurox_hdf5(tmp_path / "a.hdf5", as_sentences(WORDS))
    source = NeuroxHdf5.open(tmp_path / "a.hdf5")
    assert len(source) == 4
    assert source.sentences_without_text == 0
    assert_same(source.sentences(), as_sentences(WORDS))
    assert_same(source.sentences(2), as_sentences(WORDS)[2:])


def test_reads_the_json_that_neurox_writes_to_its_8_decimals(tmp_path: Path) -> None:
    neurox_json(tmp_path / "a.json", as_sentences(WORDS))
    source = NeuroxJson.open(tmp_path / "a.json")
    assert len(source) == 4
    for found, expected in zip(source.sentences(), as_sentences(WORDS), strict=True):
        assert (found.index, found.tokens) == (expected.index, expected.tokens)
        np.testing.assert_allclose(found.activations, expected.activations, rtol=0, atol=1e-7)
    assert [sentence.index for sentence in source.sentences(3)] == [3]


def test_writes_hdf5_in_the_form_of_neurox(tmp_path: Path) -> None:
    assert write_neurox_hdf5(tmp_path / "ours.hdf5", as_sentences(WORDS)) == 4
    neurox_hdf5(tmp_path / "theirs.hdf5", as_sentences(WORDS))
    with h5py.File(tmp_path / "ours.hdf5") as ours, h5py.File(tmp_path / "theirs.hdf5") as theirs:
        assert list(ours) == list(theirs) == ["0", "1", "2", "3", "sentence_to_index"]
        for name in "0123":
            assert ours[name].dtype == theirs[name].dtype == np.float32
            np.testing.assert_array_equal(ours[name][()], theirs[name][()])
        index = ours["sentence_to_index"]
        assert index.shape == (1,)
        assert index.dtype == theirs["sentence_to_index"].dtype
        assert index[0] == theirs["sentence_to_index"][0]
        assert json.loads(index[0])["the bank closed (Occurrence 2)"] == "2"


def test_writes_json_in_the_form_of_neurox(tmp_path: Path) -> None:
    sentences = [
        NeuroxSentence.from_tokens(
            5, ["naïve", "x"], np.array([[[0.5], [2.0]], [[-1.0], [0.25]]], dtype=np.float32)
        )
    ]
    assert write_neurox_json(tmp_path / "ours.json", sentences) == 1
    neurox_json(tmp_path / "theirs.json", sentences)
    written = (tmp_path / "ours.json").read_bytes()
    assert written == (tmp_path / "theirs.json").read_bytes()
    assert written == (
        b'{"linex_index": 5, "features": ['
        b'{"token": "na\\u00efve", "layers": [{"index": 0, "values": [0.5]}, '
        b'{"index": 1, "values": [-1.0]}]}, '
        b'{"token": "x", "layers": [{"index": 0, "values": [2.0]}, '
        b'{"index": 1, "values": [0.25]}]}]}\n'
    )


@st.composite
def files(draw: st.DrawFn) -> list[NeuroxSentence]:
    n_layers, n_units = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    word = st.one_of(st.sampled_from(["a", "(Occurrence", "2)", ""]), st.text(max_size=3))
    indices = draw(st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True))
    values = st.floats(allow_nan=False, allow_infinity=False, width=32)
    sentences = []
    for index in indices:
        tokens = draw(st.lists(word, min_size=1, max_size=3))
        array = draw(hnp.arrays(np.float32, (n_layers, len(tokens), n_units), elements=values))
        sentences.append(NeuroxSentence.from_tokens(index, tokens, array))
    return sentences


@given(written=files())
@settings(max_examples=60, deadline=None)
def test_json_gives_back_what_was_written(
    written: list[NeuroxSentence], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_neurox_json(path, written)
    assert_same(NeuroxJson.open(path).sentences(), written)


@given(written=files())
@settings(max_examples=60, deadline=None)
def test_hdf5_gives_back_what_was_written_by_index_or_refuses(
    written: list[NeuroxSentence], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("hdf5") / "a.hdf5"
    try:
        write_neurox_hdf5(path, written)
    except InputError as error:
        assert "could not be told from a duplicate" in str(error)  # noqa: PT017
        assert any("(Occurrence" in str(sentence.text) for sentence in written)
        return
    found = list(NeuroxHdf5.open(path).sentences())
    for one, other in zip(found, sorted(written, key=lambda each: each.index), strict=True):
        assert (one.index, one.text) == (other.index, other.text)
        spaced = any(" " in token for token in other.tokens or ())
        assert one.tokens == (None if spaced else other.tokens)
        np.testing.assert_array_equal(one.activations, other.activations)


def test_sentences_come_by_number_not_by_name(tmp_path: Path) -> None:
    words = [[f"w{row}"] for row in range(12)]
    neurox_hdf5(tmp_path / "a.hdf5", as_sentences(words))
    found = NeuroxHdf5.open(tmp_path / "a.hdf5").sentences()
    assert [sentence.index for sentence in found] == list(range(12))


def test_a_file_of_one_layer_may_have_two_dimensions(tmp_path: Path) -> None:
    array = random_activations(0, 1, 2)
    path = hdf5_by_hand(tmp_path / "a.hdf5", {"a b": "0"}, {"0": array[0]})
    (found,) = NeuroxHdf5.open(path).sentences()
    np.testing.assert_array_equal(found.activations, array)
    assert found.tokens == ("a", "b")


def test_an_index_that_is_one_scalar_string_is_read(tmp_path: Path) -> None:
    datasets = {"0": random_activations(0, 2, 1), "sentence_to_index": '{"a": "0"}'}
    path = hdf5_by_hand(tmp_path / "a.hdf5", None, datasets)
    assert [sentence.text for sentence in NeuroxHdf5.open(path).sentences()] == ["a"]


def test_float16_is_read_as_the_same_numbers(tmp_path: Path) -> None:
    half = random_activations(1, 2, 3).astype(np.float16)
    path = hdf5_by_hand(tmp_path / "a.hdf5", {"a b c": "0"}, {"0": half})
    (found,) = NeuroxHdf5.open(path).sentences()
    np.testing.assert_array_equal(found.activations, half.astype(np.float32))
    write_neurox_hdf5(tmp_path / "b.hdf5", [found], dtype="float16")
    with h5py.File(tmp_path / "b.hdf5") as file:
        assert file["0"].dtype == np.float16
        np.testing.assert_array_equal(file["0"][()], half)


def test_what_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    large = NeuroxSentence.from_text(4, "a", np.full((1, 1, 1), -70000.0, dtype=np.float32))
    with pytest.raises(InputError, match=r"sentence 4 .* 70000, beyond .* write float32"):
        write_neurox_hdf5(tmp_path / "a.hdf5", [large], dtype="float16")
    assert list(tmp_path.iterdir()) == []
    write_neurox_hdf5(tmp_path / "a.hdf5", [large])


def test_many_equal_texts_keep_their_indices(tmp_path: Path) -> None:
    sentences = as_sentences([["same"]] * 12 + [["other"], ["same"]])
    write_neurox_hdf5(tmp_path / "a.hdf5", sentences)
    assert_same(NeuroxHdf5.open(tmp_path / "a.hdf5").sentences(), sentences)


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        (["a (Occurrence 2)", "b"], ["a (Occurrence 2)", "b"]),
        (["a", "a (Occurrence 3)"], ["a", "a (Occurrence 3)"]),
        (["a", "a (Occurrence 02)"], ["a", "a (Occurrence 02)"]),
        (["a (Occurrence 2)", "a", "a (Occurrence 3)"], ["a (Occurrence 2)", "a", "a"]),
        (
            ["a (Occurrence 2)", "a (Occurrence 2) (Occurrence 2)"],
            ["a (Occurrence 2)", "a (Occurrence 2)"],
        ),
    ],
    ids=["nothing before", "wrong number", "leading zero", "number taken", "mark of a mark"],
)
def test_only_what_neurox_would_have_marked_loses_its_mark(
    keys: list[str], texts: list[str], tmp_path: Path
) -> None:
    index = {key: str(row) for row, key in enumerate(keys)}
    datasets = {number: random_activations(0, 1, 1) for number in index.values()}
    path = hdf5_by_hand(tmp_path / "a.hdf5", index, datasets)
    assert [sentence.text for sentence in NeuroxHdf5.open(path).sentences()] == texts
    sentences = as_sentences([[text] for text in texts])
    write_neurox_hdf5(tmp_path / "b.hdf5", sentences)
    with h5py.File(tmp_path / "b.hdf5") as file:
        assert json.loads(file["sentence_to_index"][0]) == index


def test_a_text_that_looks_like_a_duplicate_is_not_written(tmp_path: Path) -> None:
    sentences = as_sentences([["a"], ["a", "(Occurrence", "2)"]])
    with pytest.raises(InputError, match=r"sentence 1, 'a \(Occurrence 2\)', .*duplicate of 'a'"):
        write_neurox_hdf5(tmp_path / "a.hdf5", sentences)
    assert list(tmp_path.iterdir()) == []


def test_overwritten_duplicates_keep_their_activations_and_lose_their_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = {str(row): random_activations(row, 2, 1) for row in range(3)}
    path = hdf5_by_hand(tmp_path / "a.hdf5", {"same": "2", "b": "1"}, arrays)
    with caplog.at_level(logging.WARNING):
        source = NeuroxHdf5.open(path)
    assert "1 of 3 sentences have no text" in caplog.text
    assert source.sentences_without_text == 1
    found = list(source.sentences())
    assert [sentence.text for sentence in found] == [None, "b", "same"]
    np.testing.assert_array_equal(found[0].activations, arrays["0"])
    with pytest.raises(InputError, match="text of sentence 0 is not known"):
        write_neurox_hdf5(tmp_path / "b.hdf5", found)
    with pytest.raises(InputError, match=r"tokens of sentence 0 .* not known"):
        write_neurox_json(tmp_path / "b.json", found)


def test_an_index_that_repeats_a_key_loses_nothing(tmp_path: Path) -> None:
    arrays = {str(row): random_activations(row, 2, 1) for row in range(2)}
    path = hdf5_by_hand(tmp_path / "a.hdf5", '{"same": "0", "same": "1"}', arrays)
    assert [sentence.text for sentence in NeuroxHdf5.open(path).sentences()] == ["same", "same"]


def test_other_datasets_are_not_looked_at(tmp_path: Path) -> None:
    datasets = {"0": random_activations(0, 2, 1), "notes": [1, 2], "01": [3]}
    path = hdf5_by_hand(tmp_path / "a.hdf5", {"a": "0"}, datasets)
    assert [sentence.text for sentence in NeuroxHdf5.open(path).sentences()] == ["a"]


GOOD = np.ones((2, 1, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("index", "datasets", "message"),
    [
        (None, {"0": GOOD}, r"no dataset sentence_to_index, found \['0'\]; .*interrupted"),
        (None, {"sentence_to_index": [1, 2]}, "sentence_to_index is .*expected one string"),
        (None, {"sentence_to_index": [b"{}", b"{}"]}, "sentence_to_index is .*expected one string"),
        (None, {"sentence_to_index/0": GOOD}, "sentence_to_index is .*expected one string"),
        ('{"a": "0"', {"0": GOOD}, r"starts with '\{\"a\": \"0\"', expected one JSON object"),
        ('["a"]', {"0": GOOD}, "expected one JSON object"),
        ({"a": 0}, {"0": GOOD}, "gives 'a' the index 0, expected a string of digits"),
        ({"a": "first"}, {"0": GOOD}, "gives 'a' the index 'first'"),
        pytest.param({"a": "9" * 5000}, {"0": GOOD}, "gives 'a' the index '9999", id="huge"),
        ({"a": "0", "b": "0"}, {"0": GOOD}, "index 0 to two texts"),
        ({"a": "0", "b": "7"}, {"0": GOOD}, r"lacks 1 of the 2 sentences .*\[7\]"),
        ({}, {}, "holds no sentences"),
    ],
)
def test_a_wrong_index_is_an_input_error(
    index: object, datasets: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = hdf5_by_hand(tmp_path / "wrong.hdf5", index, datasets)
    with pytest.raises(InputError, match=f"wrong.hdf5: .*{message}"):
        NeuroxHdf5.open(path)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (np.ones((2, 1, 3)), r"sentence 1 is float64 \(2, 1, 3\), expected float32 or float16"),
        (np.ones((2, 1, 3), dtype=np.int32), "sentence 1 is int32"),
        (np.ones((1, 2, 1, 3), dtype=np.float32), r"sentence 1 is float32 \(1, 2, 1, 3\)"),
        (np.ones((2, 0, 3), dtype=np.float32), r"float32 \(2, 0, 3\), .*at least one"),
        (np.full((2, 1, 3), np.nan, dtype=np.float32), "sentence 1 .*NaN"),
        (np.full((2, 1, 3), np.inf, dtype=np.float16), "sentence 1 .*infinite"),
        (np.ones((1, 3), dtype=np.float32), "1 layers of 3 units, those before it 2 layers of 3"),
        (np.ones((2, 1, 4), dtype=np.float32), "2 layers of 4 units, those before it 2 layers"),
    ],
)
def test_a_wrong_dataset_is_an_input_error(second: Any, message: str, tmp_path: Path) -> None:
    path = hdf5_by_hand(tmp_path / "wrong.hdf5", {"a": "0", "b": "1"}, {"0": GOOD, "1": second})
    with pytest.raises(InputError, match=f"wrong.hdf5: .*{message}"):
        list(NeuroxHdf5.open(path).sentences())


def test_a_group_in_place_of_a_sentence_is_an_input_error(tmp_path: Path) -> None:
    path = hdf5_by_hand(tmp_path / "a.hdf5", {"a": "0"}, {"0/inner": GOOD})
    with pytest.raises(InputError, match=r"sentence 0 is .*group.*expected a dataset"):
        list(NeuroxHdf5.open(path).sentences())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_hdf5_file_is_an_input_error(share: float, tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    neurox_hdf5(path, as_sentences(WORDS))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"cannot read .*a\.hdf5 as HDF5"):
        NeuroxHdf5.open(path)


def test_a_damaged_dataset_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("0", data=GOOD, fletcher32=True, chunks=GOOD.shape)
        file["sentence_to_index"] = ['{"a": "0"}']
    content = path.read_bytes()
    assert content.count(GOOD.tobytes()) == 1
    path.write_bytes(content.replace(GOOD.tobytes(), (2 * GOOD).tobytes()))
    with pytest.raises(InputError, match=r"a\.hdf5: it is damaged"):
        list(NeuroxHdf5.open(path).sentences())


@pytest.mark.parametrize("opened", [NeuroxHdf5.open, NeuroxJson.open])
def test_files_that_are_not_there_are_input_errors(
    opened: Callable[[Path], object], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"cannot read .*absent"):
        opened(tmp_path / "absent")
    with pytest.raises(InputError, match=r"cannot read "):
        opened(tmp_path)


def line(**changes: Any) -> str:
    feature = {"token": "a", "layers": [{"index": 0, "values": [1.0, 2.0]}]}
    return json.dumps({"linex_index": 1, "features": [feature], **changes})


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (line()[:40], "line 2: found at the line: Invalid JSON.*expected an object with linex"),
        ("", "line 2: found at the line: Invalid JSON"),
        (line().replace("linex_index", "linex_idx"), "line 2: found at linex_index: .*required"),
        (line(linex_index="1"), "found at linex_index: .*integer"),
        (line(linex_index=-1), "index is below 0"),
        (line(linex_index=10**18), "over 18 digits"),
        (line(linex_index=0), "index 0 comes twice"),
        (line(features=[]), "with at least one of each"),
        (line().replace("2.0", '"2.0"'), r"features\.0\.layers\.0\.values\.1: .*number"),
        (line().replace("2.0", "NaN"), "sentence 1 .*NaN or infinite"),
        (line().replace("2.0", "1e300"), "sentence 1 .*NaN or infinite"),
        (line().replace(", 2.0", ""), "1 layers of 1 units, those before it 1 layers of 2"),
        (line().replace('"index": 0', '"index": -1'), r"token 0 has layers \[-1\], expected \[0\]"),
        (
            line(
                features=[
                    {"token": "a", "layers": [{"index": 0, "values": [1, 2]}]},
                    {"token": "b", "layers": [{"index": 0, "values": [1, 2, 3]}]},
                ]
            ),
            "line 2: its layers have different numbers of values",
        ),
        (
            line(
                features=[
                    {"token": "a", "layers": [{"index": 0, "values": [1, 2]}]},
                    {"token": "b", "layers": []},
                ]
            ),
            r"token 1 has layers \[\], expected \[0\]",
        ),
    ],
)
def test_a_wrong_line_is_an_input_error(second: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(line(linex_index=0) + "\n" + second + "\n")
    sentences = NeuroxJson.open(path).sentences()
    assert next(sentences).index == 0
    with pytest.raises(InputError, match=f"wrong.json: .*{message}"):
        next(sentences)


def test_an_empty_json_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("")
    with pytest.raises(InputError, match=r"a\.json is empty"):
        NeuroxJson.open(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("index", "text", "tokens", "array", "message"),
    [
        (-1, "a", ("a",), GOOD, "index is below 0"),
        (0, "a b", ("a", "b"), GOOD, "2 tokens, its activations cover 1"),
        (0, "b", ("a",), GOOD, "is 'b', expected .*'a'"),
        (0, None, ("a",), GOOD, "is None, expected .*'a'"),
        (0, "\ud800", None, GOOD, "not valid Unicode"),
        (0, "a", None, GOOD[0], r"float32 \(1, 3\), expected float32 \(n_layers"),
        (0, "a", None, GOOD.astype(np.float64), r"float64 \(2, 1, 3\), expected float32"),
    ],
)
def test_a_sentence_whose_parts_do_not_fit_is_refused(
    index: int, text: str | None, tokens: tuple[str, ...] | None, array: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        NeuroxSentence(index, text, tokens, array)


Writer = Callable[[Path, Iterable[NeuroxSentence]], int]
WRITERS = pytest.mark.parametrize(
    ("write", "name"), [(write_neurox_hdf5, "a.hdf5"), (write_neurox_json, "a.json")]
)


@WRITERS
def test_writers_check_what_they_are_given(write: Writer, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    first, second = as_sentences([["a"], ["b"]])
    other = NeuroxSentence.from_tokens(2, ["c"], random_activations(0, 2, 1))
    with pytest.raises(InputError, match="no sentences"):
        write(path, [])
    with pytest.raises(InputError, match="sentence index 0 comes twice"):
        write(path, [first, first])
    with pytest.raises(InputError, match="2 layers of 4 units, those before it 3 layers"):
        write(path, [first, other])
    with pytest.raises(InputError, match=f"data.txt does not end in {path.suffix}"):
        write(tmp_path / "data.txt", [first, second])
    assert list(tmp_path.iterdir()) == []


@WRITERS
def test_a_failed_write_keeps_the_file_that_was_there(
    write: Writer, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    write(path, as_sentences(WORDS))
    before = path.read_bytes()

    def interrupted() -> Iterator[NeuroxSentence]:
        yield from as_sentences(WORDS[:2])
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write(path, interrupted())
    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == before
    write(path, as_sentences(WORDS))
    assert path.read_bytes() == before


@WRITERS
@pytest.mark.parametrize("limit", [100, 5_000, 50_000])
def test_a_full_disk_is_a_run_error(write: Writer, name: str, limit: int, tmp_path: Path) -> None:
    sentences = as_sentences([["word"] * 40 + [str(row)] for row in range(200)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(RunError, match=f"cannot write .*{name}"):
            write(tmp_path / name, sentences)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@WRITERS
def test_sentences_are_written_as_they_come(write: Writer, name: str, tmp_path: Path) -> None:
    alive = 0
    most = 0

    class Counted(NeuroxSentence):
        def __post_init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            super().__post_init__()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    counted = (
        Counted.from_tokens(row, [str(row)], random_activations(0, 1, 1)) for row in range(9)
    )
    assert write(tmp_path / name, counted) == 9
    assert most <= 2


def test_without_h5py_the_message_tells_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="`pip install h5py`"):
        NeuroxHdf5.open(tmp_path / "a.hdf5")
    with pytest.raises(InputError, match="`pip install h5py`"):
        write_neurox_hdf5(tmp_path / "a.hdf5", as_sentences(WORDS))
    write_neurox_json(tmp_path / "a.json", as_sentences(WORDS))


HIDDEN = {1: LayerSite(0, Site.HIDDEN), 2: LayerSite(1, Site.HIDDEN)}
BERT = [["[CLS]", "good", "bank", "[SEP]"], ["[CLS]", "[SEP]"], ["[CLS]", "yes", "[SEP]"]]
SPECIAL = frozenset({"[CLS]", "[SEP]"})


@dataclass
class Sentences:
    """A source in memory that notes from where it was read."""

    content: list[NeuroxSentence]
    starts: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.content)

    def sentences(self, first: int = 0) -> Generator[NeuroxSentence, None, None]:
        self.starts.append(first)
        yield from self.content[first:]


def pooled_by_hand(sentence: NeuroxSentence, layer: int, pooling: Pooling) -> FloatArray:
    tokens = sentence.tokens or ()
    content = [place for place, token in enumerate(tokens) if token not in SPECIAL] or [0]
    if pooling is Pooling.CLS:
        content = [0]
    rows: FloatArray = sentence.activations[layer, content]
    pooled: FloatArray = rows.max(axis=0) if pooling is Pooling.MAX else rows.mean(axis=0)
    return pooled


@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize("window", [1, 2, 100])
def test_pools_to_a_store_that_can_be_opened(pooling: Pooling, window: int, tmp_path: Path) -> None:
    sentences = as_sentences(BERT)
    write_neurox_hdf5(tmp_path / "a.hdf5", sentences)
    report = pool_to_store(
        NeuroxHdf5.open(tmp_path / "a.hdf5"),
        tmp_path / "store",
        HIDDEN,
        NeuroxPoolingSettings(pooling=pooling, special_tokens=SPECIAL, window_sentences=window),
        "key",
    )
    assert report == ExtractionReport(sentences=3, tokens=9, sentences_without_content_tokens=1)
    store = ActivationStore.open(tmp_path / "store")
    assert store.layer_sites == tuple(HIDDEN.values())
    for layer, place in HIDDEN.items():
        expected = [pooled_by_hand(sentence, layer, pooling) for sentence in sentences]
        found = store.array(place)
        assert found.dtype == np.float16
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_every_token_is_content_where_no_special_tokens_are_given(tmp_path: Path) -> None:
    first = np.array([[[1.0, -9.0], [3.0, -2.0]]], dtype=np.float32)
    second = np.array([[[-70000.0, 0.5]]], dtype=np.float32)
    source = Sentences(
        [
            NeuroxSentence.from_text(0, "text of unknown tokens", first),
            NeuroxSentence.from_text(1, None, second),
        ]
    )
    report = pool_to_store(
        source, tmp_path, {0: LayerSite(7, Site.FFN)}, NeuroxPoolingSettings(), "key"
    )
    assert report == ExtractionReport(sentences=2, tokens=3, clipped_values=1)
    found = ActivationStore.open(tmp_path).array(LayerSite(7, Site.FFN))
    assert found.tolist() == [[3.0, -2.0], [-65504.0, 0.5]]


def test_float16_files_pool_to_the_same_store_as_their_numbers_in_float32(tmp_path: Path) -> None:
    words = [["a", "b", "c"], ["d"]]
    halves = {
        str(row): random_activations(row, 3, len(tokens)).astype(np.float16)
        for row, tokens in enumerate(words)
    }
    index = {" ".join(tokens): str(row) for row, tokens in enumerate(words)}
    singles = {name: half.astype(np.float32) for name, half in halves.items()}
    stores = []
    for name, datasets in (("half", halves), ("single", singles)):
        path = hdf5_by_hand(tmp_path / f"{name}.hdf5", index, datasets)
        mean = NeuroxPoolingSettings(pooling=Pooling.MEAN)
        pool_to_store(NeuroxHdf5.open(path), tmp_path / name, HIDDEN, mean, "key")
        stores.append((tmp_path / name / "L1.hidden.npy").read_bytes())
    assert stores[0] == stores[1]


def test_a_finished_store_is_kept(tmp_path: Path) -> None:
    source = Sentences(as_sentences(BERT))
    report = pool_to_store(source, tmp_path, HIDDEN, NeuroxPoolingSettings(), "key")
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    assert pool_to_store(source, tmp_path, HIDDEN, NeuroxPoolingSettings(), "key") == report
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == before
    (tmp_path / "L1.hidden.npy").write_bytes(b"")
    with pytest.raises(RunError, match=r"L1\.hidden\.npy is missing or damaged"):
        pool_to_store(source, tmp_path, HIDDEN, NeuroxPoolingSettings(), "key")


@pytest.mark.parametrize(
    ("layers", "special", "key"),
    [((0, 2), (), "key"), ((1, 2), SPECIAL, "key"), ((1, 2), (), "other")],
    ids=["layers", "special tokens", "file"],
)
def test_a_store_made_from_something_else_is_replaced(
    layers: tuple[int, int], special: Iterable[str], key: str, tmp_path: Path
) -> None:
    first, second = as_sentences(BERT), as_sentences(BERT)[::-1]
    pool_to_store(Sentences(first), tmp_path / "a", HIDDEN, NeuroxPoolingSettings(), "key")
    layer_sites = dict(zip(layers, HIDDEN.values(), strict=True))
    chosen = NeuroxPoolingSettings(special_tokens=frozenset(special))
    for folder in ("a", "fresh"):
        pool_to_store(Sentences(second), tmp_path / folder, layer_sites, chosen, key)
    for path in (tmp_path / "fresh").iterdir():
        assert (tmp_path / "a" / path.name).read_bytes() == path.read_bytes()


def test_an_interrupted_store_continues_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Sentences(as_sentences([["a"], ["b", "c"], ["d"], ["e"], ["f"]]))
    chosen = NeuroxPoolingSettings(window_sentences=2)
    pool_to_store(source, tmp_path / "whole", HIDDEN, chosen, "key")
    write_window = StoreWriter.write_window

    def killed(self: StoreWriter, *arguments: Any) -> None:
        if self.windows_done == 1:
            raise KeyboardInterrupt
        write_window(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write_window", killed)
        with pytest.raises(KeyboardInterrupt):
            pool_to_store(source, tmp_path / "resumed", HIDDEN, chosen, "key")
    source.starts.clear()
    pool_to_store(source, tmp_path / "resumed", HIDDEN, chosen, "key")
    assert source.starts == [0, 2]
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "resumed" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("layer_sites", "chosen", "message"),
    [
        ({}, {}, "expected at least one"),
        ({1: HIDDEN[1], 2: HIDDEN[1]}, {}, "1: L0.hidden, 2: L0.hidden.*place of its own"),
        ({3: HIDDEN[1]}, {}, r"layers 0 to 2, asked for \[3\]"),
        ({-1: HIDDEN[1]}, {}, r"layers 0 to 2, asked for \[-1\]"),
        (HIDDEN, {"pooling": Pooling.CLS}, "no special tokens are given"),
        (
            HIDDEN,
            {"pooling": Pooling.CLS, "special_tokens": frozenset({"[SEP]"})},
            r"sentence 0 starts with '\[CLS\]', expected one of \['\[SEP\]'\]",
        ),
    ],
)
def test_pooling_checks_what_it_is_given(
    layer_sites: dict[int, LayerSite], chosen: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        pool_to_store(
            Sentences(as_sentences(BERT)),
            tmp_path,
            layer_sites,
            NeuroxPoolingSettings(**chosen),
            "key",
        )


def test_pooling_needs_sentences_and_tokens_for_special_tokens(tmp_path: Path) -> None:
    chosen = NeuroxPoolingSettings(special_tokens=SPECIAL)
    with pytest.raises(InputError, match="no sentences"):
        pool_to_store(Sentences([]), tmp_path, HIDDEN, chosen, "key")
    unknown = NeuroxSentence.from_text(4, "two words", random_activations(0, 3, 1))
    with pytest.raises(InputError, match=r"tokens of sentence 4 .'two words'. are not known"):
        pool_to_store(Sentences([unknown]), tmp_path, HIDDEN, chosen, "key")
