"""Speed of rendering, and how well detectors find rendered faces that are turned to the side.

    python -m benchmarks.standins.standins [--people 12] [--workers 2] [--profile tiny]

Speed: frames per second on one core at 640 x 480, and the set-up time per person. Detection:
share of frames, by yaw, in which OpenCV's Haar cascade and dlib's HOG detector find the face,
and the same for every fifth frame of a profile's stand-in databases. `landmarks.py` measures
how well landmarks follow the same people's expressions, `difficulty.py` how hard the
expressions are to classify.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import time
from typing import Any

import cv2
import dlib
import numpy as np
import pandas as pd

from benchmarks.common import invented, report
from fer3d import standins
from fer3d.config import ClipSettings
from fer3d.data import databases
from fer3d.data.databases import Sequence
from fer3d.data.face_search import choose_view
from fer3d.data.video import read_frames, upright
from fer3d.labels import CLASSES
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import Pose, neutral_units
from fer3d.workbook import pipeline

HAAR = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"
YAWS = (-40, -30, -20, -10, 0, 10, 20, 30, 40)


def speed(number: int = 5, frames: int = 30) -> tuple[float, float]:
    """Seconds of set-up per person and frames per second, in processor time of one thread."""
    cv2.setNumThreads(1)
    invented(0)[1].frame(Pose(units=neutral_units()))
    setup = drawing = 0.0
    for k in range(number):
        start = time.process_time()
        rng, renderer = invented(k)
        middle = time.process_time()
        apex = expression.sample_apex(rng, "happiness", ExpressionStyle())
        for pose in expression.animate(rng, np.linspace(0, 1, frames), apex, ExpressionStyle(), fps=30):
            renderer.frame(pose)
        setup, drawing = setup + middle - start, drawing + time.process_time() - middle
    return setup / number, number * frames / drawing


def detected_by_yaw(k: int) -> pd.DataFrame:
    """Which detectors find the face of one person, one row per yaw."""
    cv2.setNumThreads(1)
    rng, renderer = invented(k)
    rows = []
    for yaw in YAWS:
        units = expression.sample_apex(rng, str(rng.choice(CLASSES["ckplus"])), ExpressionStyle())
        picture, truth = renderer.frame(Pose(units=units, turn=(float(rng.normal(0, 3)), float(yaw), 0.0)))
        rows.append({"yaw": abs(yaw)} | detected(picture, truth))
    return pd.DataFrame(rows)


def detected_in_database(database: str, profile: str) -> pd.DataFrame:
    """Which detectors find the face in every fifth frame of a stand-in database, one row per frame (upright)."""
    cv2.setNumThreads(1)
    root = pipeline.release(database, profile)
    suffix = ".landmarks.npy"
    truth = {path.name.removesuffix(suffix): path for path in standins.truth_folder(root).rglob(f"*{suffix}")}
    rows = []
    for sequence in databases.scan(database, root, ClipSettings()):
        if isinstance(sequence, Sequence):
            frames = list(read_frames(sequence.source, sequence.images))[::5]
            view = choose_view(frames, sequence.views, ClipSettings())
            landmarks = np.load(truth[sequence.name])[::5]
            rows += [detected(upright(frame, view), true) for frame, true in zip(frames, landmarks, strict=False)]
    return pd.DataFrame(rows).assign(database=pipeline.title(database))


def detected(picture: np.ndarray, truth: np.ndarray) -> dict[str, bool]:
    """Whether each detector finds the face: the true tip of the nose is near the middle of a box."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    haar, hog = detectors()
    of_haar = haar.detectMultiScale(grey, 1.1, 4, minSize=(80, 80))
    of_hog = [(box.left(), box.top(), box.width(), box.height()) for box in hog(grey, 0)]
    x, y = truth[30]
    return {
        name: any(abs(a + w / 2 - x) < w / 3 and abs(b + h / 2 - y) < h / 3 for a, b, w, h in boxes)
        for name, boxes in (("Haar", of_haar), ("HOG", of_hog))
    }


@functools.cache
def detectors() -> tuple[Any, Any]:
    """Both detectors, loaded once per process."""
    return cv2.CascadeClassifier(HAAR), dlib.get_frontal_face_detector()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=12, help="number of synthetic people (default: 12)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--profile", default="tiny", help="profile of the stand-in databases (default: tiny)")
    arguments = parser.parse_args()
    setup, fps = speed()
    speeds = pd.DataFrame([{"frames/s a core": fps, "set-up s a person": setup}])
    report("rendering", speeds, {"picture": "640 x 480"})
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        found = pd.concat(pool.map(detected_by_yaw, range(arguments.people)))
        within = pd.concat(
            pool.map(detected_in_database, pipeline.DATABASES, [arguments.profile] * len(pipeline.DATABASES))
        )
    shares = {"frames": ("Haar", "size"), "Haar %": ("Haar", "mean"), "HOG %": ("HOG", "mean")}
    for column, rows in (("yaw", found), ("database", within)):
        table = rows.groupby(column).agg(**shares).reset_index()
        table[["Haar %", "HOG %"]] *= 100
        report(f"faces found by {column}", table, {"people": arguments.people, "profile": arguments.profile})


if __name__ == "__main__":
    main()
