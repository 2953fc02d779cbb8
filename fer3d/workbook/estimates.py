"""What the workflow's jobs take: time, memory and disk, by profile and rule.

The laptop profile's times were measured (``docs/performance.md``), and the paper profile's for a synthetic CK+ and one
H100 (``docs/results.md``). The tiny profile's times, memory and disk are estimates. The dry run, the time left and a
cluster's limits follow from them.
"""

from collections.abc import Mapping

SECONDS: Mapping[str, Mapping[str, float]] = {
    "tiny": {"standin": 12, "prepare": 8, "training": 30, "quick_training": 25, "data_prep": 12, "report": 8},
    "laptop": {"standin": 65, "prepare": 21, "training": 145, "quick_training": 94, "data_prep": 16, "report": 8},
    "paper": {"standin": 400, "prepare": 160, "training": 120, "quick_training": 70, "data_prep": 60, "report": 30},
}
"""Of one job on one core; in the paper's profile, of a training on a GPU."""

NOTEBOOK_SECONDS = 14
"""Of a notebook that trains nothing."""

MEGABYTES: Mapping[str, Mapping[str, float]] = {
    "tiny": {"standin": 15, "prepare": 10, "training": 4},
    "laptop": {"standin": 60, "prepare": 40, "training": 6},
    "paper": {"standin": 300, "prepare": 2000, "training": 200},
}
"""On disk, of one job; a store needs its size twice while it is written."""

MEMORY_MB: Mapping[str, int] = {"tiny": 3000, "laptop": 4000, "paper": 24000}
"""Of a training; a batch of the paper's profile needs about 11 GB for its gradients. Other jobs need half."""


def seconds(profile: str, rule: str) -> float:
    """How long a job of a rule takes."""
    return SECONDS[profile].get(rule.removeprefix("largest_"), NOTEBOOK_SECONDS)


def minutes(profile: str, rule: str) -> int:
    """What to ask a cluster for: four times the estimate, at least a quarter of an hour."""
    return max(15, round(4 * seconds(profile, rule) / 60))


def megabytes(profile: str, rule: str) -> float:
    """What a job of a rule leaves on disk."""
    return MEGABYTES[profile].get(rule.removeprefix("largest_").removeprefix("quick_"), 2)
