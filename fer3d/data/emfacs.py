"""From action units to an emotion: EMFACS with the twelve units that DISFA codes.

Section 4.1 of the paper names EMFACS and gives no table. The combinations here come from two published lists:

- **guide**: the table of prototypes and major variants in the FACS Investigator's Guide (Ekman, Friesen & Hager 2002);
- **ckplus**: the criteria by which CK+ was labelled (Lucey et al. 2010, Table 1).

Units that DISFA does not code (7 10 11 14 16 22 23 24 27) are left out of a combination: sadness by 1+4+11 in the guide
is 1+4 here. So contempt (14) cannot be expressed, and anger and disgust lose most of their variants. What else is here
is fer3d's own: how two expressions in one frame are decided (`emfacs`).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Combination(NamedTuple):
    """Action units that together show an emotion."""

    emotion: str
    required: frozenset[int]
    """All of them are present."""
    optional: frozenset[int]
    """These often come along and speak for no other emotion."""
    source: str
    """``guide`` or ``ckplus``, with the published combination."""


def _combination(emotion: str, required: set[int], optional: set[int], source: str) -> Combination:
    return Combination(emotion, frozenset(required), frozenset(optional), source)


COMBINATIONS: Final = (
    _combination("anger", {4, 5}, {17, 25, 26}, "guide: 4+5+7+10+22+23+25, 26 and its variants"),
    _combination("disgust", {9}, {15, 17, 25, 26}, "guide: 9, 9+16+15, 26, 9+17; ckplus: 9 or 10"),
    _combination("fear", {1, 2, 4}, {5, 20, 25, 26}, "guide: 1+2+4+5+20+25 and its variants; ckplus: 1+2+4"),
    _combination("fear", {1, 2, 4, 5}, {20, 25, 26}, "guide: 1+2+4+5, which contains anger's 4+5"),
    _combination("fear", {5, 20}, {25, 26}, "guide: 5+20"),
    _combination("happiness", {12}, {6, 25, 26}, "guide: 6+12, 12 from intensity C; ckplus: 12"),
    _combination("sadness", {1, 4}, {15, 17, 25, 26}, "guide: 1+4+11, 1+4+15; ckplus: 1+4+15 or 11"),
    _combination("sadness", {6, 15}, {17, 25, 26}, "guide: 6+15; ckplus: 6+15"),
    _combination("sadness", {15, 17}, {25, 26}, "guide: 11+15, 11+17"),
    _combination("surprise", {1, 2}, {5, 25, 26}, "guide: 1+2+5+26 and its variants; ckplus: 1+2 or 5"),
    _combination("surprise", {5, 26}, {25}, "guide: 5+26"),
)


def emfacs(intensities: Mapping[int, float]) -> str | None:
    """The emotion of one frame; None where no combination fits or two fit equally well.

    Args:
        intensities: for each unit that is present, its intensity above 0 (FACS: 1 to 5 for A to E).

    Returns:
        ``neutral`` without any unit. Otherwise the emotion whose combination is complete. Where several are:

        1. A combination gives way to one that contains it: 1+2+4 is fear, not surprise (1+2) or sadness (1+4).
        2. The stronger expression wins: the higher mean intensity of the required units.
        3. Then the one that explains more of the units present, required or optional.
        4. Then the frame has no label. The order of the table decides nothing.

    >>> emfacs({6: 3, 12: 3, 25: 2}), emfacs({1: 2, 2: 2, 4: 1}), emfacs({}), emfacs({25: 2})
    ('happiness', 'fear', 'neutral', None)
    >>> emfacs({9: 4, 12: 2}), emfacs({9: 2, 12: 4}), emfacs({9: 3, 12: 3})
    ('disgust', 'happiness', None)
    """
    present = frozenset(intensities)
    if not present:
        return "neutral"
    complete = [one for one in COMBINATIONS if one.required <= present]
    complete = [one for one in complete if not any(one.required < other.required for other in complete)]

    def evidence(one: Combination) -> tuple[float, int]:
        strength = sum(intensities[unit] for unit in one.required) / len(one.required)
        return strength, len((one.required | one.optional) & present)

    best = max(map(evidence, complete), default=None)
    winners = {one.emotion for one in complete if evidence(one) == best}
    return winners.pop() if len(winners) == 1 else None
