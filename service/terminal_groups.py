"""Neurons that belong together, as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group

from neurons.group_records import ExplainedGroup, GroupMember, GroupTail
from service.explained import CarryingGroup, NearDescriptor, NeuronSet
from service.terminal import table_of

_MEMBERS_SHOWN = 8
_SET_SHOWN = 4
_GROUPS_SHOWN = 3

GROUP_NOTE = (
    "A group is neurons that rise and fall together on discover; (-) marks those that fall when "
    "the first one rises. Moving together: mean correlation of its neurons with their mean on "
    "validation, and what is left of it when each neuron's sentences are shuffled."
)


def group_lines(neuron: str, group: ExplainedGroup | None) -> list[str]:
    """Which neurons move with a neuron, beside chance, and what they carry as a group."""
    if group is None:
        return ["group: none; no other neuron of the run rises and falls with it"]
    own = next(member.sign for member in group.members if member.neuron == neuron)
    others = [member for member in group.members if member.neuron != neuron]
    # Signs are told from where the asker stands: the neuron that was asked about.
    turned = [
        GroupMember(neuron=each.neuron, sign=1 if each.sign == own else -1) for each in others
    ]
    count = "1 other neuron" if len(others) == 1 else f"{len(others):,} other neurons"
    lines = [
        f"group {group.id}: rises and falls with {count}: {_members(turned)}",
        f"  moving together on validation: {group.coherence:.2f} "
        f"(shuffled {group.null_coherence:.2f})",
    ]
    if any(tail.matches for tail in group.tails):
        side = "" if own > 0 else f"; the mean is turned around, {neuron} falls when it rises"
        lines.append(f"  descriptors of the group's mean{side}:")
        lines += [f"    {line}" for tail in group.tails for line in _group_matches(tail)]
    else:
        lines.append("  no descriptor holds for the group as a whole")
    return lines


def set_line(found: NeuronSet) -> str:
    """What the surest neurons tell together, beside the first one alone."""
    shown = ", ".join(f"{member.neuron} {member.tail}" for member in found.members[:_SET_SHOWN])
    more = ", …" if len(found.members) > _SET_SHOWN else ""
    if len(found.members) == 1:
        return f"surest neuron: {shown}: AUROC {found.single_auroc:.3f} on test (chance 0.5)"
    return (
        f"surest {len(found.members)} of {found.n_neurons:,} neurons together ({shown}{more}): "
        f"AUROC {found.combined_auroc:.3f} on test; the first alone {found.single_auroc:.3f}; "
        "chance 0.5"
    )


def groups_table(near: NearDescriptor) -> Group:
    """The groups that carry a descriptor."""
    shown = near.groups[:_GROUPS_SHOWN]
    rows = [_group_row(group) for group in shown]
    count = f"{len(shown)} of {near.n_groups:,}" if len(shown) < near.n_groups else "all"
    title = f"{near.descriptor}: {count} neuron groups that carry it"
    header = ("group", "neurons", "AUROC", "95% interval", "together (shuffled)", "first neuron")
    return table_of(title, header, rows)


def _group_row(group: CarryingGroup) -> tuple[str, ...]:
    return (
        f"{group.group} {group.tail}",
        f"{len(group.members):,}",
        f"{group.match.auroc:.3f}",
        f"[{group.match.ci_low:.3f}, {group.match.ci_high:.3f}]",
        f"{group.coherence:.2f} ({group.null_coherence:.2f})",
        group.members[0].neuron,
    )


def _members(members: Sequence[GroupMember]) -> str:
    shown = [
        f"{member.neuron}{'' if member.sign > 0 else ' (-)'}" for member in members[:_MEMBERS_SHOWN]
    ]
    hidden = len(members) - len(shown)
    more = f", and {hidden:,} more" if hidden else ""
    return ", ".join(shown) + more


def _group_matches(tail: GroupTail) -> list[str]:
    return [
        f"{tail.tail} {match.descriptor}: AUROC {match.auroc:.3f} "
        f"[{match.ci_low:.3f}, {match.ci_high:.3f}] on test"
        for match in tail.matches
    ]
