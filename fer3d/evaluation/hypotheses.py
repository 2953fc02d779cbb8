"""A claim "this is better than that" as a hypothesis test: paired on the same clips, over subjects.

The null hypothesis is that the two models could change places for any subject. Then each subject's summed difference
is as likely to be positive as negative, independently of the other subjects', and the p-value is the share of all 2^S
choices of signs whose sum is at least as far from 0 as the observed one. The sums are whole numbers, so their
distribution over all signs is a convolution: exact for any number of subjects, and nothing is sampled.
"""

from typing import Any

import numpy as np
import pandas as pd

from fer3d.data.splits import subjects_of
from fer3d.evaluation import metrics

LEVEL = 0.05
"""A difference counts as shown where its p-value is below this and its interval excludes 0."""


def permutation_p(sums: np.ndarray) -> float:
    """The two-sided p-value of the sum of (S,) whole numbers under all 2^S flips of their signs.

    >>> permutation_p(np.array([2, 1, 1]))
    0.25
    """
    distribution = np.ones(1)
    for size in np.abs(sums):
        distribution = np.convolve(distribution, np.bincount([0, 2 * int(size)], minlength=1) / 2)
    reached = np.abs(np.arange(len(distribution)) - len(distribution) // 2)  # the sum is centred
    return float(min(1.0, distribution[reached >= abs(int(sums.sum()))].sum()))


def compare(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    """`metrics.compare` on the clips that both tables have, with the rates and the p-value.

    Args:
        first: predictions with a column ``seed``.
        second: those of the other model. Clips and seeds that only one of the two has don't count.

    Returns:
        What `metrics.compare` returns; ``subjects``; ``first`` and ``second``, the accuracies on these clips; ``p``,
        which holds for these trainings: it does not count how far other seeds would differ.
    """
    keys = ["database", "clip", "seed"]
    shared = first[keys].merge(second[keys])
    one, other = (table.merge(shared, on=keys).sort_values(keys, ignore_index=True) for table in (first, second))
    result = metrics.compare(one, other)
    hits, other_hits = (table["prediction"] == table["label"] for table in (one, other))
    differences = hits.astype(int) - other_hits.astype(int)
    sums = differences.groupby(subjects_of(one)).sum().to_numpy()
    rates = {"first": float(hits.mean()), "second": float(other_hits.mean())}
    return {**result, **rates, "subjects": len(sums), "p": permutation_p(sums)}


OPPOSITE = "the opposite is shown"


def finding(result: dict[str, Any]) -> str:
    """``shown``, ``not shown`` or `OPPOSITE`, from what `compare` found."""
    low, high = result["interval"]
    if result["p"] < LEVEL and (low > 0 or high < 0):
        return "shown" if low > 0 else OPPOSITE
    return "not shown"


def verdict(claim: str, found: str, result: dict[str, Any], data: str = "") -> str:
    """The sentence about a claim: what was ``found``, from what `compare` gives; ``data`` says on what."""
    low, high = (100 * bound for bound in result["interval"])
    difference = f"{100 * result['difference']:+.1f} percentage points [{low:+.1f}, {high:+.1f}]"
    seeds = "one training each" if result["seeds"] == 1 else f"{result['seeds']} trainings each"
    seen = [f"{result['n']} clips of {result['subjects']} subjects", data, seeds]
    p = format_p(result["p"])
    p = p if p.startswith("<") else f"= {p}"
    return f"{claim}: {found}, {difference}, p {p} ({'; '.join(filter(None, seen))})."


def format_p(p: float) -> str:
    """A p-value with three places."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
