"""95 % confidence intervals over subjects, and over training seeds where there are several.

Clips of one subject resemble each other, so the subject is what was drawn at random. A percentile bootstrap over
subjects is too narrow where subjects are few or rates are near 1: on GEMEP-FERA's seven subjects it covers the truth
in 77 to 89 % of simulations instead of 95 (``python -m benchmarks.evaluation.intervals``). The intervals used here
start from the jackknife, the spread of the estimate when each subject in turn is left out:

- **a rate** (accuracy, UAR): Wilson's score interval with an effective sample size, the number of independent clips
  that would have the same variance, and a t quantile with one degree of freedom fewer than subjects
  (Kott & Carr 1997; Franco, Little, Louis & Slud 2019);
- **a difference** of two models on the same clips: a t interval, over subjects and, where each model was trained
  several times, over seeds too (two-way clusters: Cameron, Gelbach & Miller 2011), its degrees of freedom by
  Satterthwaite.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy  # whose parts are loaded where they are used: a prediction needs none

LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate with its 95 % confidence interval."""

    estimate: float
    low: float
    high: float


def rate_interval(values: np.ndarray, subjects: np.ndarray, classes: np.ndarray | None = None) -> Interval:
    """A rate and its interval over subjects.

    Args:
        values: (N,) 1 for each clip predicted correctly, else 0.
        subjects: (N,) whose clip it is.
        classes: (N,) its true class; the rate is then the mean of the classes' rates (UAR), else the share of clips.

    Returns:
        The rate and its bounds, 0 to 1. A single subject says nothing about others: 0 to 1. The effective sample size
        may exceed the number of clips where the classes' rates differ more than clips within a class.
    """
    rate, variance, count = _jackknife(values, subjects, classes)
    if count < 2:
        return Interval(rate, 0.0, 1.0)
    effective = rate * (1 - rate) / variance if variance > 0 else float(len(values))
    q = _quantile(count - 1)
    middle = (rate + q**2 / (2 * effective)) / (1 + q**2 / effective)
    half = q / (1 + q**2 / effective) * math.sqrt(rate * (1 - rate) / effective + (q / (2 * effective)) ** 2)
    low, high = (0.0 if rate == 0 else middle - half), (1.0 if rate == 1 else middle + half)  # exact at the ends
    return Interval(rate, low, high)


def difference_interval(values: np.ndarray, subjects: np.ndarray, seeds: np.ndarray | None = None) -> Interval:
    """The mean of paired differences and its interval over subjects, and over seeds where there are several.

    Args:
        values: (N,) for each clip (and seed) the one model's hit minus the other's: -1, 0 or 1.
        subjects: (N,) whose clip it is.
        seeds: (N,) the seed with which both models were trained; None for one training each. The interval then
            holds for these two trainings, not for the two recipes.

    Returns:
        The mean difference and its bounds, -1 to 1; -1 to 1 for a single subject.
    """
    mean, variance, count = _jackknife(values, subjects)
    if count < 2:
        return Interval(mean, -1.0, 1.0)
    freedom = float(count - 1)
    if seeds is not None and len(np.unique(seeds)) > 1:
        _, of_seeds, trainings = _jackknife(values, seeds)
        _, of_both, _ = _jackknife(values, np.array([f"{a}/{b}" for a, b in zip(subjects, seeds, strict=True)]))
        extra = max(0.0, of_seeds - of_both)
        if extra > 0:
            freedom = (variance + extra) ** 2 / (variance**2 / freedom + extra**2 / (trainings - 1))
            variance += extra
    half = _quantile(freedom) * math.sqrt(variance)
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))


def _jackknife(values: np.ndarray, clusters: np.ndarray, classes: np.ndarray | None = None) -> tuple[float, float, int]:
    """The mean of the values (or of the classes' means), its variance with each cluster left out in turn, and how many
    clusters there are."""
    cluster = np.unique(clusters, return_inverse=True)[1]
    of_class = np.zeros(len(values), int) if classes is None else np.unique(classes, return_inverse=True)[1]
    shape = (cluster.max() + 1, of_class.max() + 1)
    cell, cells = cluster * shape[1] + of_class, shape[0] * shape[1]
    sums, clips = np.bincount(cell, values, cells).reshape(shape), np.bincount(cell, minlength=cells).reshape(shape)
    estimate = float(_mean_of_means(sums.sum(0), clips.sum(0)))
    if len(sums) < 2:
        return estimate, 0.0, len(sums)
    without = _mean_of_means(sums.sum(0) - sums, clips.sum(0) - clips)
    variance = (len(sums) - 1) * float(np.var(without - without[0]))  # minus the first: exactly 0 where all are equal
    return estimate, variance, len(sums)


def _mean_of_means(sums: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """The mean over the classes that occur of their means, from sums and counts (..., K)."""
    return (sums / np.maximum(clips, 1)).sum(-1) / (clips > 0).sum(-1)


def _quantile(freedom: float) -> float:
    return float(scipy.special.stdtrit(freedom, (1 + LEVEL) / 2))  # scipy.stats.t.ppf, whose import takes a second
