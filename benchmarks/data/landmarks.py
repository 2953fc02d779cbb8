"""Do the points follow the expression: change since the first frame, true against detected, on fresh invented people.

    python -m benchmarks.data.landmarks [--people 120] [--workers 2] [--csv FILE]

Each person (none of any stand-in database) is seen at rest, then at the apex of each of CK+'s
seven expressions, by the whole path of Section 3.2 (`fer3d.data.faces`: detect, track, verify).
Six measures of the 66 points are compared as changes since the first frame, in percent of
the inter-ocular distance: correlation with its 95 % interval (bootstrap over people) and
slope of detected on true. The usual error of the points stands beside that of one constant
mean face laid on the truth as well as can be: close to it, it would say nothing. The mean
face knows where the truth has its points on average, so the detector's error is given a
second time with the same knowledge: less its mean offset at each point.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from benchmarks.common import invented
from fer3d import files
from fer3d.config import ClipSettings
from fer3d.data.face_fit import Face
from fer3d.data.faces import FaceTracker
from fer3d.data.landmarks import EYE_CORNERS, KEPT
from fer3d.labels import CLASSES
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import Pose

MEASURES = ("brow height", "inner brow", "mouth opening", "corner lift", "eye opening", "mouth width")


def sitting(k: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 66, 2) true and detected points of one person: the face at rest, then each expression that was found."""
    cv2.setNumThreads(1)
    rng, renderer = invented(k)
    tracker = FaceTracker(ClipSettings())
    rest = expression.resting_units(rng, ExpressionStyle())
    base = rng.normal(0, [2.0, 4.0, 1.5])
    found = []
    for emotion in (None, *CLASSES["ckplus"]):
        units = rest if emotion is None else np.maximum(rest, expression.sample_apex(rng, emotion, ExpressionStyle()))
        pitch, yaw, roll = (float(v) for v in base + rng.normal(0, 1, 3))
        picture, truth = renderer.frame(Pose(units=units, turn=(pitch, yaw, roll)))
        face = tracker.step(picture)
        if isinstance(face, Face):
            found.append((truth[KEPT], face.landmarks))
        elif not found:
            break  # without a first frame there is no change
    true, seen = np.array(found).reshape(-1, 2, len(KEPT), 2).swapaxes(0, 1)
    return true, seen


def measured(points: np.ndarray) -> np.ndarray:
    """(N, 6) `MEASURES` of (N, 66, 2) points, in percent of the inter-ocular distance."""
    full = np.full((len(points), 68, 2), np.nan)
    full[:, KEPT] = points
    x, y = full[..., 0], full[..., 1]
    eyes = y[:, [36, 39, 42, 45]].mean(1)
    values = (
        eyes - y[:, 17:27].mean(1),
        eyes - y[:, 20:24].mean(1),
        y[:, 65:68].mean(1) - y[:, 61:64].mean(1),
        y[:, [51, 57, 62, 66]].mean(1) - y[:, [48, 54]].mean(1),
        y[:, [40, 41, 46, 47]].mean(1) - y[:, [37, 38, 43, 44]].mean(1),
        x[:, 54] - x[:, 48],
    )
    return 100 * np.stack(values, 1) / _between_eyes(points)[:, None]


def following(sittings: list[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """A row a measure: correlation of true and detected change with its interval over people, and the slope."""
    changes = [np.stack([measured(points)[1:] - measured(points)[0] for points in pair]) for pair in sittings]
    rows = []
    for m, name in enumerate(MEASURES):

        def of(chosen: np.ndarray, m: int = m) -> np.ndarray:
            return np.concatenate([changes[k][..., m] for k in chosen], axis=1)

        everyone = np.arange(len(changes))
        spread = bootstrap(
            (everyone,), lambda chosen: np.corrcoef(of(chosen))[0, 1], n_resamples=1000, method="percentile", rng=0
        )
        true, seen = of(everyone)
        slope = np.polyfit(true, seen, 1)[0]
        rows.append((name, np.corrcoef(true, seen)[0, 1], *spread.confidence_interval, slope, len(true), len(changes)))
    return pd.DataFrame(rows, columns=["measure", "r", "r_low", "r_high", "slope", "n", "people"]).round(3)


def error(true: np.ndarray, seen: np.ndarray) -> float:
    """Mean distance of (N, 66, 2) points in percent of the inter-ocular distance."""
    return float(100 * np.mean(np.linalg.norm(true - seen, axis=-1).mean(1) / _between_eyes(true)))


def mean_face(true: np.ndarray) -> np.ndarray:
    """(N, 66, 2) one constant face, moved, turned and scaled onto each of the true ones as well as can be."""
    flat = true[..., 0] + 1j * true[..., 1]
    middle = flat.mean(1, keepdims=True)
    upright = (flat - middle) / (flat[:, EYE_CORNERS[1]] - flat[:, EYE_CORNERS[0]])[:, None]
    mean = upright.mean(0)
    laid = ((flat - middle) @ mean.conj() / (mean.conj() @ mean))[:, None] * mean + middle
    return np.stack([laid.real, laid.imag], -1)


def without_offset(true: np.ndarray, seen: np.ndarray, usual: np.ndarray | slice = slice(None)) -> np.ndarray:
    """(N, 66, 2) detected points less their mean offset from the true ones, of each point in the face's own frame.

    ``usual``: the frames of which the offset is the mean.
    """
    across = (true[:, EYE_CORNERS[1]] - true[:, EYE_CORNERS[0]]) @ np.array([1, 1j])
    offset = ((seen - true) @ np.array([1, 1j]) / across[:, None])[usual].mean(0) * across[:, None]
    return seen - np.stack([offset.real, offset.imag], -1)


def _between_eyes(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(points[:, EYE_CORNERS[1]] - points[:, EYE_CORNERS[0]], axis=-1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=120, help="fresh invented people (default: 120)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        sittings = [pair for pair in pool.map(sitting, range(arguments.people)) if len(pair[0]) > 1]
    table = following(sittings)
    true, seen = (np.concatenate(points) for points in zip(*sittings, strict=True))
    found = {"detector": seen, "without_offset": without_offset(true, seen), "mean_face": mean_face(true)}
    errors = {way: round(error(true, points), 2) for way, points in found.items()}
    print(table.to_string(index=False))
    print(f"frames with a face: {len(true)} of {8 * arguments.people}")
    print(
        f"error in % of the inter-ocular distance: {errors['detector']} detected, "
        f"{errors['without_offset']} less the mean offset of each point, {errors['mean_face']} a mean face"
    )
    if arguments.csv:
        files.write_text(arguments.csv, table.to_csv(index=False))
    print(json.dumps({"benchmark": "landmarks", "errors": errors, "rows": table.to_dict("records")}))


if __name__ == "__main__":
    main()
