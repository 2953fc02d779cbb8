"""The printed results of Hasani & Mahoor 2017 (arXiv 1705.07871) as data: Tables 1 and 2.

Recognition rates in per cent, as printed. Nothing here is measured by this program. For databases that are not in the
paper there are figures published elsewhere, from the face alone, each with its protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fer3d import labels


@dataclass(frozen=True)
class Rate:
    """A printed recognition rate, in per cent."""

    mean: float
    std: float | None = None
    """Standard deviation over the five folds; None where none is printed."""
    reference: int | None = None
    """Number in the paper's reference list; None for the paper's own network."""

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.std is None else f"{self.mean:.2f} ± {self.std:.2f}"


TABLE1: Final[Mapping[str, Mapping[str, Rate]]] = {
    "ckplus": {"2d": Rate(85.77), "3d": Rate(89.50), "3d+landmarks": Rate(93.21, 2.32)},
    "mmi": {"2d": Rate(55.83), "3d": Rate(67.50), "3d+landmarks": Rate(77.50, 1.76)},
    "fera": {"2d": Rate(49.64), "3d": Rate(67.74), "3d+landmarks": Rate(77.42, 3.67)},
    "disfa": {"3d": Rate(51.35), "3d+landmarks": Rate(58.00, 5.77)},
}
"""Subject-independent task, by database and variant. ``3d+landmarks`` is the mean of five folds;
``3d`` was tested on one random 20 % of the subjects; ``2d`` is quoted from the paper's reference
20 and has no DISFA entry."""

TABLE2: Final[Mapping[str, Mapping[str, Rate]]] = {
    "ckplus": {"3d+landmarks": Rate(67.52)},
    "mmi": {"3d+landmarks": Rate(54.76)},
    "fera": {"3d+landmarks": Rate(41.93)},
    "disfa": {"3d+landmarks": Rate(40.51)},
}
"""Cross-database task, by test database; trained on the other three."""


def _others(*rates: tuple[float, int]) -> tuple[Rate, ...]:
    return tuple(Rate(mean, reference=reference) for mean, reference in rates)


TABLE1_OTHERS: Final[Mapping[str, tuple[Rate, ...]]] = {
    "ckplus": _others((84.1, 34), (84.4, 28), (88.5, 54), (92.0, 29), (93.2, 38), (92.4, 30), (93.6, 62)),
    "mmi": _others((63.4, 30), (75.12, 31), (74.7, 29), (79.8, 54), (86.7, 47), (78.51, 36)),
    "fera": _others((56.1, 30), (55.6, 57), (76.7, 38)),
    "disfa": _others((55.0, 38)),
}
"""Table 1's column of earlier methods."""

TABLE2_OTHERS: Final[Mapping[str, tuple[Rate, ...]]] = {
    "ckplus": _others((47.1, 34), (56.0, 35), (61.2, 62), (64.2, 38)),
    "mmi": _others((51.4, 34), (50.8, 47), (36.8, 35), (55.6, 38), (66.9, 62)),
    "fera": _others((39.4, 38)),
    "disfa": _others((37.7, 38)),
}
"""Table 2's column of earlier methods, whose training databases differ (Section 4.2.2)."""


@dataclass(frozen=True)
class PublishedRate:
    """A figure for a database that is not in the paper, from the face without the voice."""

    rate: float
    """In per cent."""
    measure: str
    """``accuracy`` or ``UAR``."""
    method: str
    protocol: str
    source: str

    def __str__(self) -> str:
        return f"{self.rate:g} % {self.measure}: {self.method}; {self.protocol} ({self.source})"


ELSEWHERE: Final[Mapping[str, tuple[PublishedRate, ...]]] = {
    "ravdess": (
        PublishedRate(
            98.9,
            "accuracy",
            "LSTM on distances between landmarks",
            "split not stated",
            "Ryumina & Karpov 2020, CEUR-WS 2744, paper 32",
        ),
    ),
    "cremad": (
        PublishedRate(
            58.2,
            "accuracy",
            "people who see the face",
            "6 classes, the emotion that the actor was asked to show",
            "Cao et al. 2014, doi 10.1109/TAFFC.2014.2336244",
        ),
        PublishedRate(
            77.31,
            "UAR",
            "SVFAP, a transformer pre-trained on unlabelled videos of faces",
            "6 classes, five folds of actors",
            "Sun et al. 2024, arXiv 2401.00416",
        ),
        PublishedRate(
            79.1,
            "accuracy",
            "LSTM on distances between landmarks",
            "6 classes, split not stated",
            "Ryumina & Karpov 2020, CEUR-WS 2744, paper 32",
        ),
    ),
}


def printed(database: str, variant: str, cross: bool = False) -> Rate | None:
    """The paper's rate for a row of Table 1, or of Table 2 (``cross``); None where it has none."""
    return (TABLE2 if cross else TABLE1).get(database, {}).get(variant)


def others(database: str, cross: bool = False) -> str:
    """A line with other methods' rates: from the paper's table, or from elsewhere."""
    title = labels.TITLES[database]
    if database not in labels.PAPER:
        found = " | ".join(map(str, ELSEWHERE.get(database, ())))
        published = f" Published, within the database, from the face alone: {found}" if found else ""
        return f"{title}: not in the paper.{published}"
    rates = (TABLE2_OTHERS if cross else TABLE1_OTHERS)[database]
    earlier = ", ".join(f"{rate.mean} [{rate.reference}]" for rate in rates)
    return f"Earlier methods in the paper's Table {1 + cross}, {title}, per cent [its reference]: {earlier}"
