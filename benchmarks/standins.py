"""How good the invented people are: speed, detection, landmarks that follow.

    python benchmarks/standins.py [--people 60] [--workers 2]

Speed: frames a second on one core at 640 x 480, and the set-up of a person. Detection: share
of the frames, by yaw, that OpenCV's Haar cascade and dlib's HOG detector find. Following:
change of six measures since the first frame, true against detected, as in Section 3.2's
path (`fer3d.faces`).
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import dlib
import numpy as np
import pandas as pd

from fer3d.config import ClipSettings
from fer3d.faces import KEPT, Face, FaceTracker
from fer3d.labels import CLASSES
from fer3d.standins import acting, people, studio
from fer3d.standins.render import Renderer
from fer3d.standins.scene import Scene

MEASURES = ("brow height", "inner brow", "mouth opening", "corner lift", "eye opening", "mouth width")
HAAR = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"


def invented(k: int) -> tuple[np.random.Generator, Renderer]:
    rng = people.stream("benchmark", k)
    who = people.person("benchmark", k)
    scene = Scene(
        height=480,
        scale=float(rng.uniform(0.9, 1.3)),
        lights=studio.lamps(rng, 0.75, 0.3, 0.25),
        exposure=studio.exposure(who),
        blur=float(rng.uniform(0.5, 0.9)),
        seed=k,
    )
    return rng, Renderer(who, scene)


def speed(number: int = 5, frames: int = 30) -> tuple[float, float]:
    """Seconds of set-up a person and frames a second, in processor time of one thread."""
    cv2.setNumThreads(1)
    invented(0)[1].frame(people.Pose(units=people.neutral()))
    setup = drawing = 0.0
    for k in range(number):
        start = time.process_time()
        rng, renderer = invented(k)
        middle = time.process_time()
        shown = acting.apex(rng, "happiness", acting.Manner())
        for pose in acting.perform(rng, np.linspace(0, 1, frames), shown, acting.Manner(), fps=30):
            renderer.frame(pose)
        setup, drawing = setup + middle - start, drawing + time.process_time() - middle
    return setup / number, number * frames / drawing


def measures(points: np.ndarray) -> np.ndarray:
    """(6,) `MEASURES` of (66, 2) points, in percent of the inter-ocular distance."""
    full = np.full((68, 2), np.nan)
    full[KEPT] = points
    y = full[:, 1]
    eye = y[[36, 39, 42, 45]].mean()
    values = (
        eye - y[17:27].mean(),
        eye - y[20:24].mean(),
        y[65:68].mean() - y[61:64].mean(),
        y[[51, 57, 62, 66]].mean() - y[[48, 54]].mean(),
        y[[40, 41, 46, 47]].mean() - y[[37, 38, 43, 44]].mean(),
        full[54, 0] - full[48, 0],
    )
    return 100 * np.array(values) / np.linalg.norm(full[45] - full[36])


def follow(k: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[tuple[np.ndarray, np.ndarray]], pd.DataFrame]:
    """One person: changes (true, detected), points (true, detected), and what the detectors found by yaw."""
    cv2.setNumThreads(1)
    rng, renderer = invented(k)
    haar, hog = cv2.CascadeClassifier(HAAR), dlib.get_frontal_face_detector()
    tracker = FaceTracker(ClipSettings())
    rest = acting.resting(rng, acting.Manner())
    base = rng.normal(0, [2.0, 4.0, 1.5])
    changes, points, first = [], [], None
    for emotion in (None, *CLASSES["ckplus"]):
        units = rest if emotion is None else np.maximum(rest, acting.apex(rng, emotion, acting.Manner()))
        turn = tuple(float(v) for v in base + rng.normal(0, 1, 3))
        picture, truth = renderer.frame(people.Pose(units=units, turn=turn))  # type: ignore[arg-type]
        face = tracker.step(picture)
        if not isinstance(face, Face):
            continue
        points.append((truth[KEPT], face.points))
        now = measures(truth[KEPT]), measures(face.points)
        if emotion is None:
            first = now
        elif first is not None:
            changes.append((now[0] - first[0], now[1] - first[1]))
    found = []
    for yaw in (-40, -30, -20, -10, 0, 10, 20, 30, 40):
        units = acting.apex(rng, str(rng.choice(CLASSES["ckplus"])), acting.Manner())
        picture, truth = renderer.frame(people.Pose(units=units, turn=(float(rng.normal(0, 3)), float(yaw), 0.0)))
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        boxes = haar.detectMultiScale(grey, 1.1, 4, minSize=(80, 80))
        x, y = truth[30]
        on_nose = any(abs(a + w / 2 - x) < w / 3 and abs(b + h / 2 - y) < h / 3 for a, b, w, h in boxes)
        found.append({"yaw": abs(yaw), "Haar": on_nose, "HOG": len(hog(grey, 0)) > 0})
    return changes, points, pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    setup, fps = speed()
    print(f"speed: {fps:.0f} frames/s a core at 640 x 480, {setup:.2f} s a person\n")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(asked.workers, mp_context=context) as pool:
        changes, points, found = zip(*pool.map(follow, range(asked.people)), strict=True)
        print((100 * pd.concat(found).groupby("yaw").mean()).round(1).to_string(), "\n")
        true, seen = (np.array([pair[i] for one in changes for pair in one]) for i in (0, 1))
        rows = [
            {"r": np.corrcoef(true[:, m], seen[:, m])[0, 1], "slope": np.polyfit(true[:, m], seen[:, m], 1)[0]}
            for m in range(len(MEASURES))
        ]
        print(pd.DataFrame(rows, index=MEASURES).round(2).to_string())
        pairs = [pair for one in points for pair in one]
        print(f"error {_error(pairs):.2f} % of the inter-ocular distance")
        print(f"a mean face laid on the truth: {_mean_face(pairs):.2f} %")


def _error(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(
        100 * np.mean([np.linalg.norm(t - s, axis=1).mean() / np.linalg.norm(t[45] - t[36]) for t, s in pairs])
    )


def _mean_face(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Error of one constant face, moved, turned and scaled onto the truth as well as can be."""
    flat = [t[:, 0] + 1j * t[:, 1] for t, _ in pairs]
    centred = [(z - z.mean()) / abs(z[45] - z[36]) for z in flat]
    mean = np.mean(centred, axis=0)
    errors = [np.abs((mean.conj() @ z) / (mean.conj() @ mean) * mean - z).mean() / abs(z[45] - z[36]) for z in centred]
    return float(100 * np.mean(errors))


if __name__ == "__main__":
    main()
