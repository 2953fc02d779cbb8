"""EMFACS: from the action units of a frame to its emotion, decided by reasons and never by the order of the table."""

import itertools
import random

import pytest

from fer3d.data import emfacs as table
from fer3d.data.databases.disfa import UNITS
from fer3d.data.emfacs import COMBINATIONS, emfacs
from fer3d.labels import CLASSES

EVERY_SET = [units for size in range(13) for units in itertools.combinations(UNITS, size)]


@pytest.mark.parametrize(
    ("units", "emotion"),
    [
        ((), "neutral"),
        ((12,), "happiness"),
        ((6, 12), "happiness"),
        ((6, 12, 25), "happiness"),
        ((6, 12, 20), "happiness"),  # 20 alone shows nothing
        ((1, 4), "sadness"),
        ((1, 4, 15, 17), "sadness"),
        ((6, 15), "sadness"),
        ((15, 17), "sadness"),
        ((1, 2), "surprise"),
        ((1, 2, 5, 26), "surprise"),
        ((5, 26), "surprise"),
        ((1, 2, 4), "fear"),
        ((1, 2, 4, 5, 20, 25), "fear"),
        ((5, 20), "fear"),
        ((4, 5), "anger"),
        ((4, 5, 17), "anger"),
        ((9,), "disgust"),
        ((9, 25, 26), "disgust"),
        ((20,), None),
        ((2,), None),
        ((6, 25), None),
    ],
)
def test_published_combinations(units, emotion):
    assert emfacs(dict.fromkeys(units, 3)) == emotion


@pytest.mark.parametrize(
    ("intensities", "emotion"),
    [
        ({9: 4, 12: 2}, "disgust"),
        ({9: 2, 12: 4}, "happiness"),
        ({9: 3, 12: 3}, None),
        ({1: 2, 2: 2, 12: 4}, "happiness"),
        ({1: 4, 2: 4, 12: 2}, "surprise"),
        ({4: 4, 5: 2, 20: 1}, "anger"),
        ({4: 1, 5: 2, 20: 4}, "fear"),
    ],
)
def test_the_stronger_expression_wins_and_a_tie_has_no_label(intensities, emotion):
    assert emfacs(intensities) == emotion


def test_a_combination_gives_way_to_one_that_contains_it_however_strong():
    assert emfacs({1: 5, 2: 5, 4: 1}) == "fear"  # not surprise, 1+2
    assert emfacs({1: 1, 2: 1, 4: 5, 5: 5}) == "fear"  # not anger, 4+5


def test_the_order_of_the_table_decides_nothing(monkeypatch):
    expected = [emfacs(dict.fromkeys(units, 1)) for units in EVERY_SET]
    for seed in range(3):
        shuffled = random.Random(seed).sample(COMBINATIONS, len(COMBINATIONS))
        monkeypatch.setattr(table, "COMBINATIONS", tuple(shuffled))
        assert [emfacs(dict.fromkeys(units, 1)) for units in EVERY_SET] == expected


def test_no_unit_is_neutral_and_nothing_else_is():
    assert [units for units in EVERY_SET if emfacs(dict.fromkeys(units, 1)) == "neutral"] == [()]


def test_the_table_fits_the_database():
    assert {one.emotion for one in COMBINATIONS} | {"neutral"} == set(CLASSES["disfa"])
    assert frozenset().union(*(one.required | one.optional for one in COMBINATIONS)) == set(UNITS)
