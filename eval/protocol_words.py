"""What protocols and metrics mean, for readers who are no statisticians."""

from __future__ import annotations

from dataclasses import dataclass

from eval.records import Figure
from eval.verdicts import figure_name


@dataclass(frozen=True, slots=True)
class ProtocolWords:
    """A protocol's name, the question it answers, and how its figures are to be read."""

    name: str
    question: str
    reading: str


PROTOCOLS = {
    "label_recovery": ProtocolWords(
        "Label recovery",
        "The corpus has labels that the run never saw. Do the descriptors of a neuron name the "
        "labels that the neuron separates?",
        "Higher is better. “Concept” readings ask the other way round: are the neurons found that "
        "carry a label?",
    ),
    "planted": ProtocolWords(
        "Planted units",
        "Units were made up that respond to known concepts, in the noise of real ones. Are their "
        "concepts found again?",
        "Higher is better, and strong signals should be found almost always: here the right "
        "answer is certain.",
    ),
    "planted_model": ProtocolWords(
        "Planted in the model",
        "The weights of the model were edited so that chosen neurons respond to a known concept. "
        "Does the whole pipeline find it?",
        "Higher is better: here the right answer is certain.",
    ),
    "observational": ProtocolWords(
        "Observational",
        "Does a neuron fire on all the sentences that its description names, and on no others?",
        "Judge by F1, beside a neuron that knows nothing. Precision or recall alone can be high "
        "for a neuron that always or never fires.",
    ),
    "detection": ProtocolWords(
        "Detection",
        "A judge sees a description and sentences, and says on which of them the neuron is "
        "active. Is it right?",
        "Balanced accuracy is 0.5 for guessing and 1 for always right. Several judges should "
        "agree on which neurons are well described.",
    ),
    "fuzzing": ProtocolWords(
        "Fuzzing",
        "A judge sees a description and a sentence with words marked. Does it tell the words the "
        "neuron reacts to from others?",
        "Balanced accuracy is 0.5 for guessing and 1 for always right.",
    ),
    "simulation": ProtocolWords(
        "Simulation",
        "A judge predicts from the description how strongly the neuron reacts. Do prediction and "
        "activation go up and down together?",
        "A correlation of 0 is no relation, 1 a perfect one.",
    ),
    "cosy": ProtocolWords(
        "CoSy",
        "Is a neuron more active on texts about its description than on other texts?",
        "AUROC is 0.5 for a neuron that does not care. The best of several descriptors is high "
        "by luck alone, so it stands beside the best of as many random ones.",
    ),
    "stability": ProtocolWords(
        "Stability",
        "If the sentences, the seed or the proposer were others, would the descriptions be the "
        "same?",
        "Agreement means something only above its null: neurons that know nothing agree a lot "
        "where all get the same common descriptors.",
    ),
    "polysemanticity": ProtocolWords(
        "Polysemanticity",
        "To how many different things does a neuron respond?",
        "Groups and cosines describe neurons; they are neither good nor bad. A lower cosine of a "
        "neuron's descriptors means more different things. The variance that descriptors explain "
        "should lie above its controls.",
    ),
    "causal": ProtocolWords(
        "Causal",
        "If a described neuron is changed inside the model, does the model's output move as the "
        "description says?",
        "Switching a neuron off should move the output away from its descriptor (a negative "
        "shift), raising it towards it (a positive one), more than matched neurons do. The excess "
        "counts both ways as positive.",
    ),
    "human": ProtocolWords(
        "Human check",
        "Do people who see a neuron's sentences pick its description among others?",
        "Guessing is the null. Agreement of raters tells whether the questions have an answer.",
    ),
    "controls": ProtocolWords(
        "Controls",
        "What does the same pipeline find where there is nothing to find, and what in a model that "
        "was never trained?",
        "Under shuffled or random data at most 5 % of neurons may be described. Random weights are "
        "no such null: they still let words through, so matches are counted that go beyond them.",
    ),
}

_NAMES = {
    "Jaccard_above_baseline": "Jaccard above its baseline",
    "Jaccard_above_null": "Jaccard above its null",
    "RBO": "agreement of ranks (RBO)",
    "RBO_above_baseline": "agreement of ranks (RBO) above its baseline",
    "RBO_above_null": "agreement of ranks (RBO) above its null",
    "alpha": "agreement of raters (Krippendorff's alpha)",
    "gold_concepts": "concepts planted per unit",
    "judge_sensitive": "neurons on which judges differ",
    "missing": "neurons without an answer",
    "stable": "stable (1 yes, 0 no)",
    "AURC": "area under the risk-coverage curve",
    "AURC_perfect": "the same area in perfect order",
    "balanced_accuracy": "balanced accuracy",
    "beats_controls": "beats matched neurons",
    "best_AUROC": "median AUROC of the best descriptor",
    "best_AUROC_share": "share of units with a best AUROC of τ or more",
    "cosine": "change of cosine",
    "covered": "share of exemplars in a group",
    "descriptor_cosine": "cosine of a neuron's descriptors",
    "exemplar_groups": "groups of exemplars",
    "explained_variance": "variance explained",
    "explained_variance_gain": "variance explained beyond the first descriptor",
    "false_discovery_share": "share of pairs called significant",
    "judged": "neurons judged",
    "labels_with_a_descriptor": "labels that a descriptor means",
    "learned": "matches beyond random weights",
    "refused": "not evaluated",
    "several_descriptors": "neurons with several descriptors",
}
"""Names where the metric's own says too little; those of label recovery are in `eval.verdicts`."""

MEANING_OF_METRIC = {
    "P": "Precision: of the first k descriptors, the share that are right.",
    "precision": "Precision: of the sentences on which the neuron fires, the share that belong.",
    "R": "Recall: of what is to be found, the share that the first k descriptors name.",
    "recall": "Recall: of the sentences that belong, the share on which the neuron fires.",
    "R_ceiling": "Reachable recall: the most that k descriptors can name.",
    "Success": "Success: the share of neurons with a right descriptor among the first k.",
    "nDCG": "nDCG: right descriptors count more the earlier they come; 1 is the best order.",
    "MAP": "MAP: precision averaged over the ranks at which a right descriptor stands.",
    "F1": "F1: the harmonic mean of precision and recall, high only if both are.",
    "AUROC": "AUROC: how often the right one of two sentences has the higher activation; 0.5 is a "
    "coin toss.",
    "AUPRC": "AUPRC: precision averaged over all recalls; chance is the share of positives.",
    "AURC": "Area under the risk-coverage curve: the mean share of wrong descriptions, the surest "
    "first; lower is better.",
    "MAD": "MAD: the distance of the mean activations, in standard deviations of the other texts.",
    "Jaccard": "Jaccard: what two sets share, as part of all that is in either.",
    "RBO": "RBO: whether two rankings begin alike; 0 is nothing in common, 1 the same order.",
    "alpha": "Alpha: how far raters agree beyond chance; 0 is chance, 1 always.",
    "accuracy": "Accuracy: the share of questions answered right.",
    "judge_sensitive": "Neurons on which judges differ: whether their description beats chance "
    "depends on who judges it.",
    "stable": "Stable: whether the agreement lies above its null and its baseline.",
    "Pearson": "Pearson: whether two quantities rise together along a line, −1 to 1.",
    "Spearman": "Spearman: whether two orders agree, −1 to 1.",
    "balanced_accuracy": "Balanced accuracy: the mean share of right answers on active and on "
    "inactive sentences.",
    "coverage": "Neurons described: the share that have any description.",
    "described": "Neurons described: the share that have any description.",
    "learned": "Beyond random weights: the share of first matches stronger than all but one in "
    "twenty of a model that was never trained.",
    "shift": "Shift: how far the output moves towards the descriptor, in units of what random "
    "directions of the same length do.",
    "excess": "Excess: the shift in the wanted direction beyond that of matched neurons.",
    "beats_controls": "Beats matched neurons: the share of neurons whose shift is larger than that "
    "of every matched one.",
    "toward": "Toward: the share of neurons whose change moves the output the wanted way.",
    "false_discovery_share": "Pairs called significant: the share with a q-value this small.",
    "best_AUROC": "The AUROC that the middle one of all units reaches with its best descriptor.",
    "exemplar_groups": "Groups of exemplars: distinct descriptors among the sentences on which a "
    "neuron is strongest.",
    "descriptor_cosine": "Cosine of descriptors: how alike a neuron's descriptors are in meaning.",
    "explained_variance": "Variance explained: how much of the activation its descriptors account "
    "for.",
}


def protocol_words(protocol: str) -> ProtocolWords:
    """The words for a protocol; one that is not known has its name only."""
    known = PROTOCOLS.get(protocol)
    return known or ProtocolWords(protocol.replace("_", " ").capitalize(), "", "")


def metric_name(figure: Figure) -> str:
    """A figure's metric in words with its cutoff; a metric that is not known goes by its name."""
    name = _NAMES.get(figure.metric)
    if name is None:
        return figure_name(figure)
    return name if figure.k is None else f"{name}@{figure.k}"
