from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import InputError
from neurons.batching import TokenBatch, padded, tokenize
from neurons.capture import captured
from neurons.intervention import (
    DirectionIntervention,
    Intervention,
    UnitIntervention,
    intervened,
    written_lengths,
)
from neurons.records import LayerSite, Site
from neurons.subject import SubjectModel

TEXTS = ["the battery broke again", "very good sound", "late delivery or slow refund"]
UNIT = 5
FFN = LayerSite(0, Site.FFN)
LAST = LayerSite(1, Site.HIDDEN)


@pytest.fixture
def subject(family: str, tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model(family)), "cpu")


@pytest.fixture
def bert(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def batch_of(subject: SubjectModel, texts: Sequence[str] = TEXTS) -> TokenBatch:
    return padded(subject, tokenize(subject, texts, subject.maximum_tokens))


def forward(subject: SubjectModel, batch: TokenBatch) -> torch.Tensor:
    with torch.inference_mode():
        output: torch.Tensor = subject.model(**batch.inputs).last_hidden_state
    return output


def changed(
    subject: SubjectModel,
    batch: TokenBatch,
    layer_site: LayerSite,
    *interventions: Intervention,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    chosen = batch.content_mask if mask is None else mask
    with intervened(subject.architecture, {layer_site: interventions}, chosen):
        return forward(subject, batch)


def units_of(n_rows: int, unit: int = UNIT) -> np.ndarray:
    return np.full(n_rows, unit)


def hooks(subject: SubjectModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in subject.model.modules()
    )


def steering(n_rows: int, amount: float = 3.0) -> UnitIntervention:
    return UnitIntervention.steer(np.arange(n_rows), units_of(n_rows), np.full(n_rows, amount))


def test_the_model_is_as_before_when_the_block_ends(subject: SubjectModel) -> None:
    batch, before = batch_of(subject), hooks(subject)
    plain = forward(subject, batch)
    with intervened(subject.architecture, {FFN: [steering(3)]}, batch.content_mask):
        assert hooks(subject) == before + 1
        assert not torch.equal(forward(subject, batch), plain)
    assert hooks(subject) == before
    assert torch.equal(forward(subject, batch), plain)


def test_no_hook_is_left_after_an_exception(subject: SubjectModel) -> None:
    batch, before = batch_of(subject), hooks(subject)
    plan = {FFN: [steering(3)], LAST: [steering(3)]}
    with (
        pytest.raises(RuntimeError, match="stop"),
        intervened(subject.architecture, plan, batch.content_mask),
    ):
        raise RuntimeError("stop")
    assert hooks(subject) == before


def test_no_hook_is_left_after_an_exception_in_the_model(bert: SubjectModel) -> None:
    batch, before = batch_of(bert), hooks(bert)
    with pytest.raises(ValueError, match="row 7 is to be changed, the batch has 3 texts"):
        changed(bert, batch, FFN, UnitIntervention.zero(np.asarray([7]), np.asarray([UNIT])))
    assert hooks(bert) == before


def test_no_hook_is_left_where_a_later_layer_is_missing(bert: SubjectModel) -> None:
    before = hooks(bert)
    plan = {FFN: [steering(1)], LayerSite(9, Site.FFN): [steering(1)]}
    with (
        pytest.raises(InputError, match=r"L9.ffn does not exist"),
        intervened(bert.architecture, plan, batch_of(bert).content_mask),
    ):
        pass
    assert hooks(bert) == before


def test_zeroing_a_unit_is_zeroing_its_column_of_the_down_projection(
    subject: SubjectModel,
) -> None:
    batch = batch_of(subject)
    everywhere = torch.ones_like(batch.content_mask)
    zeroed = changed(
        subject, batch, FFN, UnitIntervention.zero(np.arange(3), units_of(3)), mask=everywhere
    )
    weight = subject.architecture.down_projections[0].weight
    kept = weight.detach()[:, UNIT].clone()
    with torch.no_grad():
        weight[:, UNIT] = 0.0
        expected = forward(subject, batch)
        weight[:, UNIT] = kept
    torch.testing.assert_close(zeroed, expected, rtol=1e-4, atol=1e-5)


def test_steering_a_unit_is_adding_its_column_to_what_the_block_writes(
    subject: SubjectModel,
) -> None:
    batch = batch_of(subject)
    steered = changed(subject, batch, FFN, steering(3, 2.5))
    column = subject.architecture.down_projections[0].weight.detach()[:, UNIT]
    bias = torch.zeros_like(batch.content_mask, dtype=torch.float32)
    bias[batch.content_mask] = 2.5
    handle = subject.architecture.down_projections[0].register_forward_hook(
        lambda _module, _inputs, output: output + bias.unsqueeze(-1) * column
    )
    expected = forward(subject, batch)
    handle.remove()
    torch.testing.assert_close(steered, expected, rtol=1e-4, atol=1e-5)

    along = DirectionIntervention(
        np.arange(3), np.tile(column.numpy(), (3, 1)), np.full(3, 2.5, dtype=np.float32)
    )
    torch.testing.assert_close(changed(subject, batch, FFN, along), expected, rtol=1e-4, atol=1e-5)


def test_mean_ablation_sets_content_tokens_and_no_others(subject: SubjectModel) -> None:
    batch = batch_of(subject)
    ablation = UnitIntervention.mean_ablate(np.arange(3), units_of(3), np.asarray([1.0, 2.0, -3.0]))
    with captured(subject.architecture, [FFN]) as plain:
        forward(subject, batch)
    with (
        intervened(subject.architecture, {FFN: [ablation]}, batch.content_mask),
        captured(subject.architecture, [FFN]) as latest,
    ):
        forward(subject, batch)
    expected = plain[FFN].clone()
    for row, mean in enumerate((1.0, 2.0, -3.0)):
        expected[row, batch.content_mask[row], UNIT] = mean
    assert torch.equal(latest[FFN], expected)


@pytest.mark.parametrize("layer_site", [FFN, LayerSite(1, Site.FFN), LayerSite(0, Site.HIDDEN)])
def test_every_row_can_be_changed_in_its_own_way(
    subject: SubjectModel, layer_site: LayerSite
) -> None:
    batch = batch_of(subject, [TEXTS[0]] * 4)
    plain = forward(subject, batch)
    vector = np.linspace(-1.0, 1.0, subject.architecture.hidden_units)[None]
    together = changed(
        subject,
        batch,
        layer_site,
        UnitIntervention.zero(np.asarray([0]), np.asarray([1])),
        UnitIntervention.steer(np.asarray([1]), np.asarray([2]), np.asarray([4.0])),
        DirectionIntervention(np.asarray([3]), vector, np.asarray([2.0])),
    )
    torch.testing.assert_close(together[2], plain[2])
    alone = batch_of(subject, [TEXTS[0]])
    first = np.asarray([0])
    for row, intervention in (
        (0, UnitIntervention.zero(first, np.asarray([1]))),
        (1, UnitIntervention.steer(first, np.asarray([2]), np.asarray([4.0]))),
        (3, DirectionIntervention(first, vector, np.asarray([2.0]))),
    ):
        single = changed(subject, alone, layer_site, intervention)
        torch.testing.assert_close(together[row], single[0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(together[row], plain[row])


def test_ablating_a_unit_that_is_always_zero_changes_nothing(bert: SubjectModel) -> None:
    batch = batch_of(bert)
    up = bert.architecture.feed_forwards[0].up
    with torch.no_grad():
        up.weight[UNIT] = 0.0
        up.bias[UNIT] = 0.0
    plain = forward(bert, batch)
    zeroed = changed(bert, batch, FFN, UnitIntervention.zero(np.arange(3), units_of(3)))
    ablated = changed(
        bert, batch, FFN, UnitIntervention.mean_ablate(np.arange(3), units_of(3), np.zeros(3))
    )
    assert torch.equal(plain, zeroed)
    assert torch.equal(plain, ablated)


def test_the_last_block_output_is_changed_as_told(bert: SubjectModel) -> None:
    batch = batch_of(bert)
    plain = forward(bert, batch)
    per_token = np.arange(3 * plain.shape[1], dtype=np.float32).reshape(3, -1)
    steered = changed(
        bert, batch, LAST, UnitIntervention.steer(np.arange(3), units_of(3), per_token)
    )
    expected = plain.clone()
    expected[..., UNIT] += torch.from_numpy(per_token) * batch.content_mask
    torch.testing.assert_close(steered, expected)


def test_amounts_on_one_unit_add_up(bert: SubjectModel) -> None:
    batch = batch_of(bert)
    twice = UnitIntervention.steer(
        np.asarray([0, 0]), np.asarray([UNIT, UNIT]), np.asarray([1.0, 2.0])
    )
    once = UnitIntervention.steer(np.asarray([0]), np.asarray([UNIT]), np.asarray([3.0]))
    torch.testing.assert_close(changed(bert, batch, LAST, twice), changed(bert, batch, LAST, once))


def test_gradients_pass_through_and_no_activation_is_edited(bert: SubjectModel) -> None:
    batch = batch_of(bert)
    seen: list[torch.Tensor] = []
    down = bert.architecture.down_projections[0]
    handle = down.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    plain = bert.model(**batch.inputs).last_hidden_state
    with intervened(bert.architecture, {FFN: [steering(3)]}, batch.content_mask):
        bert.model(**batch.inputs).last_hidden_state.square().sum().backward()
    handle.remove()
    assert plain.grad_fn is not None
    torch.testing.assert_close(seen[0], seen[1])
    gradient = bert.architecture.feed_forwards[0].up.weight.grad
    assert gradient is not None
    assert gradient[UNIT].abs().sum() > 0.0


def test_a_replaced_unit_gets_no_gradient(bert: SubjectModel) -> None:
    batch = batch_of(bert)
    everywhere = torch.ones_like(batch.content_mask)
    zeroing = UnitIntervention.zero(np.arange(3), units_of(3))
    with intervened(bert.architecture, {FFN: [zeroing]}, everywhere):
        bert.model(**batch.inputs).last_hidden_state.square().sum().backward()
    gradient = bert.architecture.feed_forwards[0].up.weight.grad
    assert gradient is not None
    assert gradient[UNIT].abs().sum() == 0.0
    assert gradient[UNIT + 1].abs().sum() > 0.0


def test_written_lengths(bert: SubjectModel) -> None:
    weight = bert.architecture.down_projections[0].weight.detach().numpy()
    lengths = written_lengths(bert.architecture, FFN)
    np.testing.assert_allclose(lengths, np.linalg.norm(weight, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(written_lengths(bert.architecture, LAST), np.ones(32))


def test_what_does_not_fit_is_refused(bert: SubjectModel) -> None:
    batch, rows = batch_of(bert), np.arange(2)
    with pytest.raises(ValueError, match="set twice"):
        UnitIntervention.zero(np.asarray([1, 1]), np.asarray([4, 4]))
    with pytest.raises(ValueError, match=r"units have shape \(3,\), rows \(2,\)"):
        UnitIntervention.zero(rows, np.arange(3))
    with pytest.raises(ValueError, match="NaN or infinite"):
        UnitIntervention.steer(rows, rows, np.asarray([1.0, np.nan]))
    with pytest.raises(ValueError, match="values have shape"):
        UnitIntervention.steer(rows, rows, np.ones(3))
    with pytest.raises(ValueError, match="rows have shape"):
        UnitIntervention.zero(-1 - rows, rows)
    with pytest.raises(ValueError, match="vectors have shape"):
        DirectionIntervention(rows, np.ones((3, 32)), np.ones(2))
    with pytest.raises(ValueError, match="a vector holds NaN"):
        DirectionIntervention(rows, np.full((2, 32), np.inf), np.ones(2))
    with pytest.raises(InputError, match=r"L0.ffn.48 does not exist: L0.ffn has 48 units"):
        changed(bert, batch, FFN, UnitIntervention.zero(rows, np.asarray([0, 48])))
    with pytest.raises(InputError, match="vectors have 31 numbers"):
        changed(bert, batch, FFN, DirectionIntervention(rows, np.ones((2, 31)), np.ones(2)))
    with pytest.raises(ValueError, match="amounts cover 1 tokens"):
        changed(bert, batch, FFN, UnitIntervention.steer(rows, rows, np.ones((2, 1))))
    with pytest.raises(ValueError, match="content mask is"):
        changed(bert, batch, FFN, steering(2), mask=batch.content_mask[:2])
