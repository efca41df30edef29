"""Groups and sets of neurons as text."""

from neurons.group_records import ExplainedGroup, GroupMember, GroupTail
from neurons.records import AbstentionReason, Match, Tail
from service.explained import NeuronSet, SetMember
from service.terminal_groups import group_lines, set_line

MATCH = Match(
    rank=1, descriptor_id="d", descriptor="late delivery", auroc=0.91234, ci_low=0.85,
    ci_high=0.95, q=0.001, exemplar_z=5.0,
)  # fmt: skip
NOTHING = GroupTail(tail=Tail.NEGATIVE, reason=AbstentionReason.WEAK)
GROUP = ExplainedGroup(
    id="G7",
    members=(
        GroupMember(neuron="L0.ffn.1", sign=1),
        GroupMember(neuron="L1.ffn.2", sign=-1),
        GroupMember(neuron="L2.ffn.3", sign=1),
    ),
    coherence=0.834,
    null_coherence=0.581,
    tails=(GroupTail(tail=Tail.POSITIVE, matches=(MATCH,)), NOTHING),
)


def test_a_group_is_told_beside_chance() -> None:
    assert group_lines("L0.ffn.1", GROUP) == [
        "group G7: rises and falls with 2 other neurons: L1.ffn.2 (-), L2.ffn.3",
        "  moving together on validation: 0.83 (shuffled 0.58)",
        "  descriptors of the group's mean:",
        "    + late delivery: AUROC 0.912 [0.850, 0.950] on test",
    ]


def test_signs_are_told_from_where_the_asker_stands() -> None:
    lines = group_lines("L1.ffn.2", GROUP)
    assert lines[0].endswith("2 other neurons: L0.ffn.1 (-), L2.ffn.3 (-)")
    assert lines[2].endswith("L1.ffn.2 falls when it rises:")


def test_a_group_without_descriptors_and_a_neuron_without_group() -> None:
    silent = GROUP.model_copy(update={"tails": (NOTHING,), "members": GROUP.members[:2]})
    lines = group_lines("L0.ffn.1", silent)
    assert lines[0] == "group G7: rises and falls with 1 other neuron: L1.ffn.2 (-)"
    assert lines[-1] == "  no descriptor holds for the group as a whole"
    assert group_lines("L0.ffn.1", None) == [
        "group: none; no other neuron of the run rises and falls with it"
    ]


def test_many_members_are_counted() -> None:
    members = tuple(GroupMember(neuron=f"L0.ffn.{unit}", sign=1) for unit in range(12))
    line = group_lines("L0.ffn.0", GROUP.model_copy(update={"members": members}))[0]
    assert line.endswith("L0.ffn.8, and 3 more")


def test_a_set_is_told_beside_its_best_and_chance() -> None:
    members = tuple(SetMember(neuron=f"L0.ffn.{unit}", tail=Tail.POSITIVE) for unit in range(6))
    found = NeuronSet(n_neurons=1234, members=members, combined_auroc=0.95, single_auroc=0.8)
    assert set_line(found) == (
        "surest 6 of 1,234 neurons together (L0.ffn.0 +, L0.ffn.1 +, L0.ffn.2 +, L0.ffn.3 +, …): "
        "AUROC 0.950 on test; the first alone 0.800; chance 0.5"
    )
    alone = found.model_copy(update={"n_neurons": 1, "members": members[:1]})
    assert set_line(alone) == "surest neuron: L0.ffn.0 +: AUROC 0.800 on test (chance 0.5)"
