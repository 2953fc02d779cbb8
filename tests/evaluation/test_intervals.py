"""Intervals over subjects and seeds: they cover in simulation, and their variance is the jackknife's."""

import numpy as np
import pytest

from benchmarks.evaluation.intervals import CASES, clips_of
from fer3d.evaluation.intervals import difference_interval, rate_interval

SIMULATIONS = 1500
"""A true coverage of 95 % is seen between 93.9 and 96.1 in 95 of 100 tries."""


def coverage(truth, intervals):
    return 100 * np.mean([low <= truth <= high for _, low, high in intervals])


@pytest.mark.parametrize("case", list(CASES)[:-1])
@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9])
def test_a_rate_is_covered_where_subjects_differ(case, rate):
    rng, (people, clips), intervals = np.random.default_rng(0), CASES[case], []
    for _ in range(SIMULATIONS):
        subjects = clips_of(rng, people, clips)
        hits = rng.random(clips) < rng.beta(9 * rate, 9 * (1 - rate), people)[subjects]
        intervals.append(rate_interval(hits.astype(float), subjects))
    assert 92.5 <= coverage(rate, intervals) <= 97.5


@pytest.mark.parametrize("case", list(CASES)[:-1])
def test_the_mean_recall_is_covered(case):
    rng, (people, clips), intervals = np.random.default_rng(1), CASES[case], []
    recalls = np.array([0.3, 0.5, 0.6, 0.9])
    for _ in range(SIMULATIONS):
        subjects, classes = clips_of(rng, people, clips), rng.choice(4, clips, p=(0.1, 0.2, 0.3, 0.4))
        harder = rng.uniform(-0.1, 0.1, people)[subjects]
        intervals.append(
            rate_interval((rng.random(clips) < recalls[classes] + harder).astype(float), subjects, classes)
        )
    assert 92.5 <= coverage(recalls.mean(), intervals) <= 97.5


@pytest.mark.parametrize("case", list(CASES)[:-1])
def test_a_paired_difference_is_covered(case):
    rng, (people, clips), intervals = np.random.default_rng(2), CASES[case], []
    for _ in range(SIMULATIONS):
        subjects = clips_of(rng, people, clips)
        easy = 0.6 + rng.uniform(-0.2, 0.2, people)[subjects]
        values = (rng.random(clips) < easy + 0.1).astype(float) - (rng.random(clips) < easy)
        intervals.append(difference_interval(values, subjects))
    assert 92.5 <= coverage(0.1, intervals) <= 97.5


def test_the_difference_of_two_recipes_needs_the_seeds():
    rng, truth, drawn, ignored = np.random.default_rng(3), 0.05, [], []
    for _ in range(SIMULATIONS):
        subjects = clips_of(rng, 90, 249)
        effects = rng.normal(0, 0.05, (2, 3))
        one, other = (rng.random((3, 249)) < 0.5 + s + e[:, None] for s, e in zip((truth, 0), effects, strict=True))
        values, of = (one.astype(float) - other).ravel(), np.tile(subjects, 3)
        drawn.append(difference_interval(values, of, np.repeat(np.arange(3), 249)))
        ignored.append(difference_interval(values, of))
    assert coverage(truth, ignored) < 75
    assert coverage(truth, drawn) > 88


def test_the_variance_is_the_jackknifes():
    """By hand: recall by recall, each subject left out in turn."""
    rng = np.random.default_rng(4)
    subjects, hits, classes = clips_of(rng, 12, 60), rng.integers(0, 2, 60).astype(float), rng.integers(0, 3, 60)

    def uar(kept):
        return np.mean([hits[kept & (classes == k)].mean() for k in range(3)])

    rate = uar(np.full(60, True))
    without = np.array([uar(subjects != k) for k in range(12)])
    n = rate * (1 - rate) / (11 / 12 * ((without - without.mean()) ** 2).sum())
    t = 2.2009851600829494  # 97.5 %, 11 degrees of freedom
    half = t * np.sqrt(rate * (1 - rate) / n + (t / 2 / n) ** 2) / (1 + t**2 / n)
    middle = (rate + t**2 / 2 / n) / (1 + t**2 / n)
    assert rate_interval(hits, subjects, classes) == pytest.approx((rate, middle - half, middle + half))


def test_a_network_that_predicts_one_class_is_no_certainty():
    subjects, classes = np.repeat(np.arange(12), 7), np.tile(np.arange(7), 12)
    rate, low, high = rate_interval((classes == 0).astype(float), subjects, classes)
    assert rate == pytest.approx(1 / 7) and high - low > 0.1


def test_all_correct_is_no_certainty_and_one_subject_says_nothing():
    subjects = np.repeat(np.arange(7), 10)
    rate, low, high = rate_interval(np.ones(70), subjects)
    assert (rate, high) == (1, 1) and 0.9 < low < 0.95
    rate, low, high = rate_interval(np.zeros(5), np.array([0, 0, 1, 1, 1]))
    assert (rate, low) == (0, 0) and 0.9 < high < 1
    assert rate_interval(np.ones(10), np.zeros(10)) == (1, 0, 1)
    assert difference_interval(np.ones(10), np.zeros(10)) == (1, -1, 1)
    assert difference_interval(np.zeros(20), np.repeat([0, 1], 10), np.tile([0, 1], 10)) == (0, 0, 0)
