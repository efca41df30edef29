from __future__ import annotations

from collections import Counter

from descriptors.proposer import phrase_problem
from training.phrases import phrases_of, sentences_by_phrase
from training.sources import NamedTexts, naming_nouns, own_groups


def test_own_groups_can_be_learned_from() -> None:
    groups = list(own_groups())
    assert len(groups) > 1_000
    for group in groups:
        assert 1 <= len(group.names) <= 3, group.names
        assert len(set(group.names)) == len(group.names), group.names
        assert 8 <= len(group.texts) <= 10, group.names
        assert len(set(group.texts)) == len(group.texts), group.names
        for name in group.names:
            assert len(name.split()) <= 5, name
            assert phrase_problem(name) is None, name


def test_no_sentence_is_in_a_training_group_and_in_one_kept_apart() -> None:
    groups = list(own_groups())
    learned = {text for group in groups if not group.development for text in group.texts}
    apart = {text for group in groups if group.development for text in group.texts}
    assert learned
    assert apart
    assert not learned & apart


def test_an_eighth_of_every_file_is_kept_apart() -> None:
    kinds: Counter[str] = Counter()
    apart: Counter[str] = Counter()
    for group in own_groups():
        kinds[group.origin] += 1
        apart[group.origin] += group.development
    assert 0.1 < sum(apart.values()) / sum(kinds.values()) < 0.15
    assert NamedTexts("own:news", ("a",), ("b",)).development is False


def test_phrases_begin_and_end_with_content_words() -> None:
    assert phrases_of("The cost of living, again!") == {"cost", "living", "cost of living"}


def test_phrases_that_name_groups_begin_and_end_with_a_noun() -> None:
    texts = [f"actually the bank charged a late card fee {word}" for word in ("x", "y", "z", "w")]
    found = sentences_by_phrase([*texts, "a fee"], frozenset({"bank", "card", "fee"}))
    everywhere = [0, 1, 2, 3]
    assert found == {
        "bank": everywhere,
        "card": everywhere,
        "card fee": everywhere,
        "fee": [*everywhere, 4],
    }


def test_nouns_that_name_are_no_adjectives_times_or_quantities() -> None:
    table = [
        {"lemma": "cheese", "pos": "n", "lexfile": "noun.food", "synonyms": ["fromage"]},
        {"lemma": "first", "pos": "n", "lexfile": "noun.communication"},
        {"lemma": "first", "pos": "r", "lexfile": "adv.all"},
        {"lemma": "season", "pos": "n", "lexfile": "noun.time"},
        {"lemma": "Travel", "pos": "n", "lexfile": "noun.act"},
        {"lemma": "travel", "pos": "v", "lexfile": "verb.motion"},
        {"lemma": "blue cheese", "pos": "n", "lexfile": "noun.food"},
    ]
    assert naming_nouns(table) == {"cheese", "fromage", "travel"}
