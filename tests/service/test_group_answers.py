"""Neuron groups in a run and in the answers of `explain`, also for a run that has none yet."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from indexer.errors import RunError
from neurons.group_records import NEURON_GROUPS_FILE, NeuronGroups, read_neuron_groups
from neurons.records import LayerSite, NeuronId, Tail
from service import cli, kept_groups
from service.evaluation import evaluate_run
from service.explain import explain_concept, explain_neuron
from service.explained import SetMember
from service.finished_run import FinishedRun
from service.group_answers import COMBINED_NEURONS, carrying_groups, group_of, neuron_set
from service.pipeline import run_pipeline
from service.run_directory import RunDirectory
from service.settings import RunSettings
from service.terminal import show_run
from service.terminal_explain import show_explained

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def run(small_run: Path) -> FinishedRun:
    return FinishedRun(small_run, "cpu")


@pytest.fixture
def copied(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run"))


@pytest.fixture
def old(copied: Path) -> Path:
    """A run as it was written before there were neuron groups."""
    (copied / NEURON_GROUPS_FILE).unlink()
    (copied / "stages" / "neuron_groups.json").unlink()
    manifest = json.loads((copied / "manifest.json").read_text())
    del manifest["stages"]["neuron_groups"]
    (copied / "manifest.json").write_text(json.dumps(manifest))
    return copied


def a_descriptor(run: FinishedRun, *, with_groups: bool = False) -> str:
    """The id of a descriptor that some neurons, or groups, carry."""
    source = run.neuron_groups.groups if with_groups else ()
    for group in source:
        for tail in group.tails:
            if tail.matches:
                return tail.matches[0].descriptor_id
    matched = [each.matches[0] for each in run.explanations.values() if each.matches]
    assert matched
    assert not with_groups
    return matched[0].descriptor_id


def test_the_stage_writes_groups_of_the_runs_neurons(run: FinishedRun) -> None:
    found = read_neuron_groups(run.path / NEURON_GROUPS_FILE)
    assert found.groups
    assert run.neuron_groups == found
    counted = run.manifest.stages["neuron_groups"].result
    assert counted["groups"] == len(found.groups)
    assert counted["described"] > 0
    members = [member.neuron for group in found.groups for member in group.members]
    assert len(set(members)) == len(members) == counted["neurons"]
    assert set(members) <= {str(neuron) for neuron in run.neurons}
    assert [group.id for group in found.groups] == [
        f"G{number}" for number in range(1, len(found.groups) + 1)
    ]
    sizes = [len(group.members) for group in found.groups]
    assert sizes == sorted(sizes, reverse=True)
    for group in found.groups:
        assert group.coherence > group.null_coherence
        assert [tail.tail for tail in group.tails] == list(Tail)
        assert all((tail.reason is None) == bool(tail.matches) for tail in group.tails)


def test_a_run_tells_of_its_groups(
    small_settings: RunSettings, small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_run(run_pipeline(small_settings, small_run))
    groups = FinishedRun(small_run).neuron_groups.groups
    assert f"{len(groups)} groups of neurons rise and fall together" in capsys.readouterr().out


def test_the_stage_writes_the_same_bytes_again(small_settings: RunSettings, copied: Path) -> None:
    before = (copied / NEURON_GROUPS_FILE).read_bytes()
    (copied / NEURON_GROUPS_FILE).write_bytes(b"{}")
    assert run_pipeline(small_settings, copied).recomputed == ("neuron_groups",)
    assert (copied / NEURON_GROUPS_FILE).read_bytes() == before


def test_an_old_run_gets_its_groups_by_running_again(
    small_settings: RunSettings, small_run: Path, old: Path
) -> None:
    assert run_pipeline(small_settings, old).recomputed == ("neuron_groups",)
    assert (old / NEURON_GROUPS_FILE).read_bytes() == (small_run / NEURON_GROUPS_FILE).read_bytes()


def test_an_old_run_is_asked_and_keeps_the_same_groups(
    small_run: Path, old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = FinishedRun(old, "cpu").neuron_groups
    assert "computed once and kept" in caplog.text
    assert found.groups
    assert (old / NEURON_GROUPS_FILE).read_bytes() == (small_run / NEURON_GROUPS_FILE).read_bytes()
    caplog.clear()
    assert FinishedRun(old, "cpu").neuron_groups == found
    assert caplog.text == ""
    assert FinishedRun(old).manifest


def test_an_old_run_can_be_evaluated_again(old: Path) -> None:
    assert evaluate_run(old)
    assert FinishedRun(old).manifest.stages["evaluate"]


def test_groups_of_a_run_that_may_not_be_written_are_not_kept(
    old: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise RunError("cannot write: No space left on device")

    lock = RunDirectory.create(old)
    assert FinishedRun(old, "cpu").neuron_groups.groups
    lock.close()
    assert "another process is writing" in caplog.text
    monkeypatch.setattr(kept_groups, "write_neuron_groups", full)
    assert FinishedRun(old, "cpu").neuron_groups.groups
    assert "No space left" in caplog.text
    assert not (old / NEURON_GROUPS_FILE).exists()


def test_damaged_or_foreign_groups_are_noticed(copied: Path) -> None:
    path = copied / NEURON_GROUPS_FILE
    content = path.read_text()
    first = read_neuron_groups(path).groups[0].members[0].neuron
    for damage in ("{", content.replace(f'"{first}"', '"L7.ffn.0"')):
        path.write_text(damage)
        with pytest.raises(RunError, match=NEURON_GROUPS_FILE):
            FinishedRun(copied, "cpu").neuron_groups  # noqa: B018
    path.write_text(content.replace(f'"{first}"', '"nonsense"'))
    with pytest.raises(RunError, match="does not belong to this run"):
        group_of(FinishedRun(copied, "cpu"), NeuronId.parse("L0.ffn.0"))


def test_a_neuron_is_told_with_its_group(run: FinishedRun) -> None:
    group = run.neuron_groups.groups[0]
    member = group.members[-1].neuron
    answer = explain_neuron(run, member, n_exemplars=1)
    assert answer.group == group
    grouped = {each.neuron for own in run.neuron_groups.groups for each in own.members}
    alone = next(neuron for neuron in run.neurons if str(neuron) not in grouped)
    assert explain_neuron(run, str(alone), n_exemplars=1).group is None


def test_too_few_sentences_are_said(
    run: FinishedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = NeuronGroups(settings=run.neuron_groups.settings, too_few_sentences=True)
    monkeypatch.setitem(run.__dict__, "neuron_groups", nothing)
    answer = explain_neuron(run, "L0.ffn.0", n_exemplars=1)
    assert not answer.groups_sought
    show_explained(answer)
    assert "too few sentences to correlate neurons" in " ".join(capsys.readouterr().out.split())


def test_members_do_move_together(run: FinishedRun) -> None:
    """Coherence against numpy: correlation with the mean of the members on validation."""
    group = run.neuron_groups.groups[0]
    rows = run.split_rows.validation
    columns = []
    for member in group.members:
        neuron = NeuronId.parse(member.neuron)
        column = run.store.array(neuron.layer_site)[rows, neuron.unit].astype(np.float64)
        columns.append(member.sign * (column - column.mean()) / column.std())
    centre = np.mean(columns, axis=0)
    correlations = [abs(np.corrcoef(column, centre)[0, 1]) for column in columns]
    assert group.coherence == pytest.approx(np.mean(correlations))


def test_the_neuron_set_of_a_descriptor_against_brute_force(run: FinishedRun) -> None:
    identifier = a_descriptor(run)
    number = [descriptor.id for descriptor in run.catalog].index(identifier)
    carriers = sorted(
        (match.evidence, each.neuron, each.tail)
        for each in run.explanations.values()
        for match in each.matches
        if match.descriptor_id == identifier
    )
    named = [(NeuronId.parse(neuron), tail) for _, neuron, tail in carriers]
    found = neuron_set(run, number, named)
    assert found is not None
    assert found.n_neurons == len({neuron for neuron, _ in named})
    first = dict.fromkeys(str(neuron) for neuron, _ in named)
    assert [each.neuron for each in found.members] == list(first)[:COMBINED_NEURONS]
    holds = run.membership[number].toarray()[0] > 0
    rows = run.split_rows

    def column(member: SetMember) -> np.ndarray:
        neuron = NeuronId.parse(member.neuron)
        sign = 1.0 if member.tail is Tail.POSITIVE else -1.0
        site = LayerSite(neuron.layer, neuron.site)
        return np.asarray(sign * run.store.array(site)[:, neuron.unit].astype(np.float64))

    surest = column(found.members[0])[rows.test]
    assert found.single_auroc == pytest.approx(roc_auc_score(holds[rows.test], surest))
    mean = np.mean(
        [column(each) / column(each)[rows.discover].std() for each in found.members], axis=0
    )
    assert found.combined_auroc == pytest.approx(
        roc_auc_score(holds[rows.test], mean[rows.test]), abs=1e-9
    )


def test_without_neurons_or_contrast_there_is_no_set(
    run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert neuron_set(run, 0, []) is None
    carrier = next(
        (NeuronId.parse(each.neuron), each.tail)
        for each in run.explanations.values()
        if each.matches
    )
    both = [carrier, (carrier[0], Tail.NEGATIVE), (carrier[0], Tail.POSITIVE)]
    found = neuron_set(run, 0, both)
    assert found is not None
    assert [(each.neuron, each.tail) for each in found.members] == [(str(carrier[0]), carrier[1])]
    everything = csr_matrix(np.ones(run.membership.shape))
    monkeypatch.setitem(run.__dict__, "membership", everything)
    assert neuron_set(run, 0, [carrier]) is None


def test_a_concept_is_told_with_its_neurons_and_groups(run: FinishedRun) -> None:
    identifier = a_descriptor(run, with_groups=True)
    text = next(each.text for each in run.catalog if each.id == identifier)
    near = next(
        each for each in explain_concept(run, text).descriptors if each.descriptor_id == identifier
    )
    carrying = carrying_groups(run)[identifier]
    assert near.n_groups == len(carrying) > 0
    assert near.groups == carrying[:5]
    assert {each.match.descriptor_id for each in carrying} == {identifier}
    evidence = [each.match.evidence for each in carrying]
    assert evidence == sorted(evidence)
    assert (near.neuron_set is None) == (near.n_neurons == 0)


def test_answers_as_json_and_for_people(
    small_run: Path, run: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    group = run.neuron_groups.groups[0]
    asked = ["explain", group.members[0].neuron, "--run", str(small_run), "--device", "cpu"]
    assert cli.run_command([*asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert NeuronGroups.model_validate(
        {"settings": run.neuron_groups.settings, "groups": [answer["group"]]}
    ).groups == (group,)
    assert cli.run_command(asked) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"group {group.id}: rises and falls with {len(group.members) - 1} other" in shown
    assert f"{group.coherence:.2f} (shuffled {group.null_coherence:.2f})" in shown
    identifier = a_descriptor(run, with_groups=True)
    text = next(each.text for each in run.catalog if each.id == identifier)
    asked = ["explain", text, "--concept", "--run", str(small_run), "--device", "cpu"]
    assert cli.run_command([*asked, "--json"]) == 0
    near = json.loads(capsys.readouterr().out)["descriptors"][0]
    assert set(near) == {
        *("descriptor_id", "descriptor", "similarity", "n_neurons", "neurons"),
        *("neuron_set", "n_groups", "groups"),
    }
    assert set(near["groups"][0]) == {
        *("group", "tail", "match", "members", "coherence", "null_coherence"),
    }
    assert cli.run_command(asked) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "neuron groups that carry it" in shown
    assert "A group is neurons that rise and fall together" in shown
