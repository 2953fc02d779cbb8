"""Does the confidence tell wrong landmarks from right ones: rendered people, whose true landmarks are known.

    python -m benchmarks.data.confidence [--people 30] [--first 100] [--csv FILE]

Each person (none of any stand-in database) is seen at rest, with four expressions, with brows raised more and more,
with the head turned, and with a hand before the mouth or the chin: four bars in the colour of the skin. The error of a
part of the face (brows, nose, eyes, mouth) is the mean distance of its landmarks from the true ones, less the mean
offset of each landmark on the first two kinds of frames, in percent of the inter-ocular distance. Landmarks are wrong
where the worst part is off by more than `WRONG`.

Printed: by kind of frame and in sum, how many landmarks are wrong and how many are called doubtful
(`face_fit.DOUBTFUL`), and the limits of the confidence that separate them best on every other person (largest
difference of the two shares), with the shares on these people and on the others: doubtful of the wrong, and of the
right. The first of them are those in `face_fit`.
"""

import argparse
import itertools
import math
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.common import invented, report
from benchmarks.data.landmarks import without_offset
from fer3d.config import ClipSettings
from fer3d.data import face_fit
from fer3d.data.face_fit import DOUBTFUL, Face
from fer3d.data.faces import FaceTracker
from fer3d.data.landmarks import EYE_CORNERS, INNER_PARTS, KEPT, NOSE_TIP
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import ACTION_UNITS, Pose

WRONG = 5.0
"""Percent of the inter-ocular distance."""
EXPRESSIONS = ("happiness", "surprise", "anger", "fear")
BROWS = (4.0, 5.0, 6.5, 8.0, 9.0, 10.0)
"""Intensities of AU 1 and 2; 5 is the maximum of FACS, on a person of average reach."""
YAW = (20.0, 30.0, 40.0)
"""Degrees."""
LIMITS = {
    "_APART": (0.018, 0.02, 0.022, 0.025, 0.028, 0.032),
    "_WEAK": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
    "_TURNED": (0.9, 1.1, 1.3, 1.5, 1.8, 2.2),
    "_UNSURE": (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, math.inf),
}
"""The limits of the signs of doubt in `faces` that are tried; inf: without this sign."""


def seen(k: int) -> list[dict[str, object]]:
    """The frames of one person on which a face is found: kind, true and found landmarks (66, 2), confidence, signs."""
    rng, renderer = invented(k)
    rest = expression.resting_units(rng, ExpressionStyle())
    base = rng.normal(0, [2.0, 4.0, 1.5])
    side = rng.choice([-1, 1])
    kinds = [("rest", rest, 0.0)]
    kinds += [
        ("expression", np.maximum(rest, expression.sample_apex(rng, name, ExpressionStyle())), 0.0)
        for name in EXPRESSIONS
    ]
    kinds += [(f"brows {level:g}", _raised(rest, level), 0.0) for level in BROWS]
    kinds += [(f"yaw {degrees:g}", rest, side * degrees) for degrees in YAW]
    kinds += [(f"hand before {place}", rest, 0.0) for place in ("mouth", "chin")]
    tracker, rows = FaceTracker(ClipSettings()), []
    for kind, units, yaw in kinds:
        turn = (0.0, yaw, 0.0) if yaw else tuple(float(angle) for angle in base + rng.normal(0, 1, 3))
        picture, truth = renderer.frame(Pose(units=units, turn=turn))
        if kind.startswith("hand"):
            tracker.step(picture)  # the hand comes after the face
            picture = _with_hand(picture, truth, kind.split()[-1], rng)
        face = tracker.step(picture)
        row = {"person": k, "kind": kind, "true": truth[KEPT], "found": None}
        if isinstance(face, Face):
            row |= {"found": face.landmarks, "confidence": face.confidence, "signs": _signs(picture, face)}
        rows.append(row)
    return rows


def _raised(rest: np.ndarray, level: float) -> np.ndarray:
    units = rest.copy()
    for unit, intensity in ((1, level), (2, level), (5, min(level, 5.0) / 2)):
        column = units[:, ACTION_UNITS.index(unit)]
        column[:] = np.maximum(column, intensity)
    return units


def _with_hand(picture: np.ndarray, truth: np.ndarray, place: str, rng: np.random.Generator) -> np.ndarray:
    """Four fingers of the nose's colour, of any direction, before a part of the face with landmarks (68, 2)."""
    drawn = picture.copy()
    eyes = float(np.linalg.norm(truth[45] - truth[36]))
    x, y = truth[NOSE_TIP].astype(int)
    skin = np.median(picture[y - 4 : y + 4, x - 4 : x + 4].reshape(-1, 3), axis=0)
    middle = truth[48:60].mean(axis=0) if place == "mouth" else (truth[8] + truth[57]) / 2
    middle = middle + rng.normal(0, 0.08 * eyes, 2)
    angle = math.radians(rng.uniform(-40, 40) + rng.choice([0, 90]))
    along = np.array([math.cos(angle), math.sin(angle)])
    across, width = np.array([-along[1], along[0]]), 0.2 * eyes
    for finger in range(4):
        centre = middle + across * width * (finger - 1.5)
        ends = centre - along * eyes * rng.uniform(0.55, 0.7), centre + along * eyes * 1.6
        for shade, thickness in ((0.75, 1.05), (1.0, 0.85)):
            colour = tuple(float(value) for value in np.clip(skin * shade * rng.uniform(0.9, 1.05), 0, 255))
            first, last = (tuple(int(16 * value) for value in end) for end in ends)
            cv2.line(drawn, first, last, colour, int(thickness * width), cv2.LINE_AA, 4)
    changed = (drawn != picture).any(axis=-1, keepdims=True)
    noisy = cv2.GaussianBlur(drawn, (0, 0), 1.0) + rng.normal(0, 3, picture.shape)
    return np.where(changed, noisy.clip(0, 255), picture).astype(np.uint8)


def _signs(picture: np.ndarray, face: Face) -> tuple[float, ...]:
    """The signs of doubt before they are measured by their limits, in the order of `LIMITS`."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    box = face_fit.predictor_box(face.landmarks)
    return face_fit._signs(*face_fit._predict(grey, box), face_fit._predict_from_above(grey, box), face.score)


def doubtful(signs: np.ndarray, limits: tuple[float, ...]) -> np.ndarray:
    """Which of (N, 4) signs make a confidence below 0.5."""
    apart, weak, turned, unsure = limits
    parts = (signs[:, 0] / apart, weak / signs[:, 1], signs[:, 2] / turned, signs[:, 3] / unsure)
    return np.asarray(sum(part**2 for part in parts) > 1)


def shares(called: np.ndarray, wrong: np.ndarray, of: np.ndarray) -> tuple[float, float]:
    """Of some frames: percent of the wrong and of the right that are called doubtful."""
    return 100 * float(called[of & wrong].mean()), 100 * float(called[of & ~wrong].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=30, help="fresh invented people (default: 30)")
    parser.add_argument("--first", type=int, default=100, help="the first of them (default: 100)")
    parser.add_argument("--csv", type=Path, help="also write the table by kind of frame")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    everyone = range(arguments.first, arguments.first + arguments.people)
    frames = pd.DataFrame([row for k in tqdm(everyone, unit="person", disable=None) for row in seen(k)])
    counts = frames.groupby("kind", sort=False).size()
    frames = frames[frames["found"].notna()].reset_index(drop=True)
    true, found = (np.stack(frames[name].to_list()) for name in ("true", "found"))
    usual = frames["kind"].isin(["rest", "expression"]).to_numpy()
    eyes = np.linalg.norm(true[:, EYE_CORNERS[1]] - true[:, EYE_CORNERS[0]], axis=-1)
    distances = 100 * np.linalg.norm(without_offset(true, found, usual) - true, axis=-1) / eyes[:, None]
    errors = np.stack([distances[:, part].mean(axis=1) for part in INNER_PARTS], axis=1)
    wrong = errors.max(axis=1) > WRONG
    frames = frames.assign(error=errors.max(axis=1), wrong=wrong, doubtful=frames["confidence"] < DOUBTFUL)
    table = frames.groupby("kind", sort=False).agg(
        found=("kind", "size"), error=("error", "median"), wrong=("wrong", "sum"), doubtful=("doubtful", "sum")
    )
    table["doubtful_of_wrong"] = frames[frames["wrong"]].groupby("kind")["doubtful"].sum()
    table = table.fillna({"doubtful_of_wrong": 0}).astype({"doubtful_of_wrong": int})
    table.insert(0, "frames", counts)
    report("landmark confidence", table.reset_index(), {"people": arguments.people, "wrong": WRONG})
    if arguments.csv:
        table.round(1).to_csv(arguments.csv)
    signs, chosen_on = np.stack(frames["signs"].to_list()), (frames["person"] % 2 == 0).to_numpy()
    for people, of in (("whom the limits were chosen on", chosen_on), ("others", ~chosen_on)):
        now = shares(frames["doubtful"].to_numpy(), wrong, of)
        counts = wrong[of].sum(), (~wrong[of]).sum()
        print(f"{people}: doubtful {now[0]:.0f} % of {counts[0]} wrong, {now[1]:.0f} % of {counts[1]} right")
    rows = []
    for limits in itertools.product(*LIMITS.values()):
        called = doubtful(signs, limits)
        here, there = (shares(called, wrong, of) for of in (chosen_on, ~chosen_on))
        rows.append((*limits, *here, *there))
    names = ("wrong_chosen", "right_chosen", "wrong_held_out", "right_held_out")
    tried = pd.DataFrame(rows, columns=[*LIMITS, *names])
    order = (tried["right_chosen"] - tried["wrong_chosen"]).sort_values(kind="stable").index
    tried = tried.loc[order]
    report("limits", tried.head(5), {"people": arguments.people})
    report("limits without the brows' sign", tried[np.isinf(tried["_UNSURE"])].head(2), {"people": arguments.people})
    in_use = (tried[list(LIMITS)] == [getattr(face_fit, name) for name in LIMITS]).all(axis=1)
    report("limits in use", tried[in_use], {"people": arguments.people})


if __name__ == "__main__":
    main()
