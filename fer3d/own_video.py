"""A trained network on one's own video: the face is tracked, the frames are cut into clips of ten, each is predicted.

The path is that of a database: `faces` finds and follows the face, `clips` cuts successive tens, the network of a
finished run predicts. Memory does not grow with the length of the video.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fer3d.data import clips
from fer3d.data.databases import Sequence
from fer3d.data.faces import FaceTracker
from fer3d.data.video import VideoError
from fer3d.errors import InputError
from fer3d.training import devices
from fer3d.training.batches import to_device
from fer3d.training.inference import Predictor
from fer3d.training.run import load_model

_BATCH = 8


def predict(video: Path | str, run: Path | str) -> pd.DataFrame:
    """The predictions of a finished run's network for a video, one row for every ten frames.

    Args:
        video: any video that OpenCV reads.
        run: the folder of a finished run.

    Returns:
        ``first_frame`` (from 0), ``n_faces``, ``score`` (the detector's smallest in the ten frames, above 0),
        ``prediction`` and ``p_<emotion>`` (0 to 1) in label order. Where no face was found, these are empty and
        ``reason`` says why.

    Raises:
        InputError: a video that cannot be read, or no finished run.
    """
    return pd.DataFrame(predict_rows(Path(video), Path(run)))


def predict_rows(video: Path, run: Path) -> Iterator[dict[str, Any]]:
    """The rows of `predict` one by one, while the video is being read.

    Yields rows with ``first_frame`` (counted from 0), ``n_faces``, ``score`` (the detector's
    smallest confidence), ``prediction`` and ``p_<emotion>`` in label order; or, where no face
    was found, ``first_frame`` and ``reason``.

    Raises:
        InputError: a video that can't be read, or no finished run.
    """
    model = load_model(run)
    predictor = Predictor(model, devices.single_process_fabric())  # the best here, whatever it was trained on
    pieces = clips.cut(Sequence("own", "", video.stem, video), FaceTracker(model.clips))
    try:
        while batch := list(itertools.islice(pieces, _BATCH)):
            found = [piece for piece in batch if isinstance(piece, clips.Clip)]
            probabilities = iter(_probabilities(predictor, found) if found else ())
            for piece in batch:
                if isinstance(piece, clips.DroppedClip):
                    yield {"first_frame": piece.first_frame, "reason": piece.reason}
                else:
                    yield _row(piece, model.network.classes, next(probabilities))
    except VideoError as error:
        raise InputError(f"{error}: expected a video that OpenCV reads", "another file") from error


def _probabilities(predictor: Predictor, found: list[clips.Clip]) -> np.ndarray:
    """(B, K) for B clips."""
    frames = torch.from_numpy(np.stack([clip.frames for clip in found]))
    landmarks = torch.from_numpy(np.stack([clip.landmarks for clip in found]))
    return predictor(to_device(frames, predictor.device), to_device(landmarks, predictor.device))


def _row(clip: clips.Clip, classes: tuple[str, ...], probabilities: np.ndarray) -> dict[str, Any]:
    return {
        "first_frame": clip.first_frame,
        "n_faces": clip.n_faces,
        "score": round(clip.score, 4),
        "prediction": classes[int(probabilities.argmax())],
        **{f"p_{name}": round(float(p), 4) for name, p in zip(classes, probabilities, strict=True)},
    }
