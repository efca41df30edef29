from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from descriptors.contributions import Contribution, contributions
from descriptors.curation import JOINT, Rejection
from descriptors.records import Descriptor


def descriptor(proposer: str, reason: str = "") -> Descriptor:
    return Descriptor(
        id="d", text="t", proposer=proposer, group="g", support=(), kept=not reason, reason=reason
    )


def test_contributions_by_hand() -> None:
    found = contributions(
        [
            descriptor("keyphrase + embedded"),
            descriptor("keyphrase"),
            descriptor("openai:a"),
            descriptor("embedded", Rejection.ALTERNATIVE),
            descriptor("keyphrase", "too_long"),
            descriptor("keyphrase", Rejection.ALTERNATIVE),
            descriptor("keyphrase", "too_long"),
        ]
    )
    assert found == [
        Contribution(
            proposer="embedded",
            proposed=1,
            kept_alone=0,
            kept_jointly=1,
            rejected={Rejection.ALTERNATIVE: 1},
        ),
        Contribution(
            proposer="keyphrase",
            proposed=5,
            kept_alone=1,
            kept_jointly=1,
            rejected={Rejection.ALTERNATIVE: 1, "too_long": 2},
        ),
        Contribution(proposer="openai:a", proposed=1, kept_alone=1, kept_jointly=0, rejected={}),
    ]
    assert list(found[1].rejected) == sorted(found[1].rejected)


def test_nothing_was_contributed_by_nobody() -> None:
    assert contributions([]) == []


NAMES = ["embedded", "keyphrase", "user", "openai:a/b"]
kept = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True).map(
    lambda names: descriptor(JOINT.join(names))
)
turned_down = st.builds(
    descriptor, st.sampled_from(NAMES), st.sampled_from([reason.value for reason in Rejection])
)


@given(st.lists(kept | turned_down, max_size=40))
def test_every_descriptor_is_counted(descriptors: list[Descriptor]) -> None:
    found = contributions(descriptors)
    assert [each.proposer for each in found] == sorted({each.proposer for each in found})
    assert sum(each.proposed for each in found) == len(descriptors)
    n_kept = sum(descriptor.kept for descriptor in descriptors)
    rejected = sum(sum(each.rejected.values()) for each in found)
    assert n_kept + rejected == len(descriptors)
    for each in found:
        mine = [d for d in descriptors if each.proposer in d.proposer.split(JOINT)]
        assert each.kept_alone == sum(d.kept and d.proposer == each.proposer for d in mine)
        assert each.kept_alone + each.kept_jointly == sum(d.kept for d in mine)
        assert sum(each.rejected.values()) == sum(not d.kept for d in mine)
