"""Do the intervals cover? Simulated test sets with a known truth, and how often the 95 % interval holds it.

    python -m benchmarks.evaluation.intervals [--simulations 2000] [--csv FILE]

Test sets of sizes at or below those of the tables. Subjects differ: each has an accuracy of its own, drawn from a beta
distribution with the given intraclass correlation. Beside fer3d's intervals stands the percentile bootstrap over
subjects. The second table is for paired differences between two recipes whose trainings differ by seed with the given
standard deviation. A correct method has about 95 in each column.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.common import report
from fer3d import files
from fer3d.evaluation.intervals import difference_interval, rate_interval

CASES = {
    "FERA, 7 subjects": (7, 70),
    "DISFA, 6 subjects": (6, 86),
    "MMI, 12 subjects": (12, 110),
    "CK+, one fold": (19, 50),
    "CK+, five folds": (90, 249),
    "two subjects": (2, 20),
}
CLASSES = 5


def clips_of(rng: np.random.Generator, subjects: int, clips: int) -> np.ndarray:
    """(clips,) whose clip each is; every subject has at least one."""
    return np.repeat(np.arange(subjects), 1 + rng.multinomial(clips - subjects, np.full(subjects, 1 / subjects)))


def bootstrap(rng: np.random.Generator, hits: np.ndarray, subjects: np.ndarray, resamples: int = 400) -> np.ndarray:
    """Bounds of the percentile bootstrap over subjects."""
    right, clips = np.bincount(subjects, hits), np.bincount(subjects)
    drawn = rng.integers(0, len(clips), (resamples, len(clips)))
    return np.quantile(right[drawn].sum(1) / clips[drawn].sum(1), (0.025, 0.975))


def rates(rng: np.random.Generator, simulations: int) -> Iterator[dict[str, Any]]:
    """Coverage in per cent for accuracy and UAR, case by case."""
    for name, (people, clips) in tqdm(CASES.items(), "rates", disable=None):
        for rate in (0.3, 0.6, 0.9, 0.97):
            for correlation in (0.0, 0.1):
                covered = np.zeros(3)
                for _ in range(simulations):
                    subjects = clips_of(rng, people, clips)
                    of_subject = np.full(people, rate)
                    if correlation:
                        total = (1 - correlation) / correlation
                        of_subject = rng.beta(rate * total, (1 - rate) * total, people)
                    hits = (rng.random(clips) < of_subject[subjects]).astype(float)
                    classes = rng.integers(0, CLASSES, clips)
                    ours, uar = rate_interval(hits, subjects), rate_interval(hits, subjects, classes)
                    low, high = bootstrap(rng, hits, subjects)
                    covered += (
                        ours.low <= rate <= ours.high, uar.low <= rate <= uar.high, low <= rate <= high
                    )  # fmt: skip
                shares = dict(zip(("accuracy", "UAR", "bootstrap"), 100 * covered / simulations, strict=True))
                yield {"case": name, "clips": clips, "rate": rate, "correlation": correlation, **shares}


def differences(rng: np.random.Generator, simulations: int) -> Iterator[dict[str, Any]]:
    """Coverage in per cent for the difference of two recipes, each trained with three seeds."""
    seeds, difference = 3, 0.05
    for name, (people, clips) in tqdm(list(CASES.items())[:-1], "differences", disable=None):
        for deviation in (0.0, 0.03, 0.09):
            covered = np.zeros(3)
            for _ in range(simulations):
                subjects = clips_of(rng, people, clips)
                easy = 0.55 + rng.uniform(-0.2, 0.2, people)[subjects] + rng.uniform(-0.1, 0.1, clips)
                effects = rng.normal(0, deviation, (2, seeds)).clip(-0.1, 0.1)  # so that no probability leaves 0 to 1
                one, other = (
                    rng.random((seeds, clips)) < easy + shift + effect[:, None]
                    for shift, effect in zip((difference, 0.0), effects, strict=True)
                )
                values = one.astype(float) - other
                all_subjects, all_seeds = np.tile(subjects, seeds), np.repeat(np.arange(seeds), clips)
                found = (
                    difference_interval(values.ravel(), all_subjects, all_seeds),
                    difference_interval(values.ravel(), all_subjects),
                    difference_interval(values[0], subjects),
                )
                covered += [one.low <= difference <= one.high for one in found]
            ways = ("subjects and seeds", "subjects only, three seeds", "one training each")
            shares = dict(zip(ways, 100 * covered / simulations, strict=True))
            yield {"case": name, "clips": clips, "SD of seeds": deviation, **shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=2000, help="test sets in each case (default: 2000)")
    parser.add_argument("--csv", type=Path, help="also write the first table")
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    of_rates = pd.DataFrame(rates(rng, chosen.simulations))
    about = {"simulations": chosen.simulations, "level": 95}
    report("coverage of rates, per cent", of_rates, about)
    report("coverage of differences, per cent", pd.DataFrame(differences(rng, chosen.simulations)), about)
    if chosen.csv:
        files.write_csv(chosen.csv, of_rates.round({"accuracy": 1, "UAR": 1, "bootstrap": 1}))


if __name__ == "__main__":
    main()
