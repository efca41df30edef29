import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.figures import (
    AUROC_AXIS,
    COLOUR_STEPS,
    MAP_HEIGHT,
    MAP_WIDTH,
    Axis,
    Bubble,
    Strip,
    bubbles,
    colour_legend,
    colour_step,
    descriptor_map,
)


def three_clusters(size: int) -> np.ndarray:
    random = np.random.default_rng(3)
    centres = np.eye(3, 16) * 8
    return np.concatenate(
        [centre + random.normal(size=(size, 16)) * 0.5 for centre in centres]
    ).astype(np.float32)


def test_map_keeps_clusters_together() -> None:
    places = descriptor_map(three_clusters(12))
    cluster = np.repeat(np.arange(3), 12)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (cluster[distances.argmin(axis=1)] == cluster).all()


def test_map_is_the_same_each_time_and_fills_the_unit_square() -> None:
    vectors = three_clusters(12)
    places = descriptor_map(vectors)
    assert places.tobytes() == descriptor_map(vectors.copy()).tobytes()
    assert places.shape == (36, 2)
    assert places.min(axis=0).tolist() == [0.0, 0.0]
    assert places.max(axis=0).tolist() == [1.0, 1.0]


def test_map_of_few_descriptors_is_their_principal_plane() -> None:
    places = descriptor_map(np.array([[0, 0], [4, 0], [1, 0]], dtype=np.float32))
    along = places[:, 0] if places[0, 0] == 0 else 1 - places[:, 0]
    assert along.tolist() == [0.0, 1.0, 0.25]
    assert places[:, 1].tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("n_descriptors", [0, 1, 2, 9])
def test_map_of_equal_descriptors_puts_them_in_the_middle(n_descriptors: int) -> None:
    places = descriptor_map(np.ones((n_descriptors, 4), dtype=np.float32))
    assert places.tolist() == [[0.5, 0.5]] * n_descriptors


def test_map_refuses_vectors_it_cannot_place() -> None:
    with pytest.raises(ValueError, match="finite"):
        descriptor_map(np.array([[0.0, np.nan]], dtype=np.float32))
    with pytest.raises(ValueError, match="finite"):
        descriptor_map(np.zeros(3, dtype=np.float32))


def test_colour_steps_of_a_hand_worked_scale() -> None:
    # sqrt(value / 36) * 6 = sqrt(value): steps end at 1, 4, 9, 16, 25, 36.
    found = [colour_step(value, 36) for value in (0, 1, 2, 4, 5, 9, 16, 17, 25, 36)]
    assert found == [0, 1, 2, 2, 3, 3, 4, 5, 5, 6]
    assert colour_step(0, 0) == 0


def test_colour_step_refuses_values_off_the_scale() -> None:
    for value in (-1, 4):
        with pytest.raises(ValueError, match="between 0 and 3"):
            colour_step(value, 3)


@given(st.integers(0, 400))
def test_legend_covers_every_count_once_in_order(largest: int) -> None:
    legend = colour_legend(largest)
    listed = [value for entry in legend for value in range(entry.low, entry.high + 1)]
    assert listed == list(range(largest + 1))
    for entry in legend:
        assert {colour_step(value, largest) for value in (entry.low, entry.high)} == {entry.step}
    if largest:
        assert legend[-1].step == COLOUR_STEPS


def test_bubbles_are_sized_by_area_and_drawn_largest_first() -> None:
    places = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    drawn = bubbles(places, ["a", "b", "c"], [25, 100, 0], [1, 0, 4])
    assert [item.index for item in drawn] == [1, 0, 2]
    # Radius 4 + 16 * sqrt(share): shares 1, 1/4 and 0.
    assert [item.radius for item in drawn] == [20.0, 12.0, 4.0]
    assert [item.step for item in drawn] == [0, 3, 6]
    for item in drawn:
        assert item.radius <= item.centre_x <= MAP_WIDTH - item.radius
        assert item.radius <= item.centre_y <= MAP_HEIGHT - item.radius


def test_bubbles_shrink_where_there_are_many() -> None:
    # 320 bubbles are four times as many as have room: half the radius, 3 at least.
    drawn = bubbles(np.zeros((320, 2)), ["x"] * 320, [100, *[0] * 319], [1] * 320)
    assert [drawn[0].radius, drawn[1].radius] == [10.0, 3.0]


def label_box(item: Bubble, text: str) -> tuple[float, float, float, float]:
    assert item.label is not None
    left, bottom = item.label.left, item.label.baseline + 5
    return left, bottom - 17, left + 7.2 * len(text), bottom


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25),
    st.integers(0, 2**32 - 1),
)
def test_labels_never_cover_each_other_or_leave_the_map(
    places: list[tuple[float, float]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    texts = ["x" * int(random.integers(1, 30)) for _ in places]
    counts = random.integers(0, 9, len(places)).tolist()
    drawn = bubbles(np.array(places), texts, counts, counts)
    boxes = [label_box(item, texts[item.index]) for item in drawn if item.label is not None]
    slack = 0.11
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert left >= -slack
        assert top >= -slack
        assert right <= MAP_WIDTH + slack
        assert bottom <= MAP_HEIGHT + slack
        for other in boxes[:number]:
            apart = (
                right <= other[0] + slack
                or other[2] <= left + slack
                or bottom <= other[1] + slack
                or other[3] <= top + slack
            )
            assert apart


def test_labels_go_to_the_descriptors_with_most_neurons_where_room_is_short() -> None:
    places = np.full((5, 2), 0.5)
    drawn = bubbles(places, ["same size"] * 5, [1] * 5, [3, 9, 1, 5, 7])
    assert [item.index for item in drawn if item.label is None] == [2]


def test_bubbles_refuse_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="1 texts"):
        bubbles(np.zeros((2, 2)), ["a"], [1, 2], [1, 2])


def test_strips_are_percentages_of_the_axis_and_stop_at_its_ends() -> None:
    assert AUROC_AXIS.strip(0.7, 0.55, 1.0) == Strip(50.0, 25.0, 100.0)
    assert AUROC_AXIS.strip(0.3, 0.2, 0.46) == Strip(0.0, 0.0, 10.0)
    assert Axis(0.0, 1.0).strip(0.25, None, None) == Strip(25.0, None, None)
