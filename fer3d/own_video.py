"""A trained network on one's own video: the face is tracked, the frames are cut into clips of ten, each is predicted.

The path is that of a database: `faces` finds and follows the face, `clips` cuts successive tens, the network of a
finished run predicts. A motion is as fast as those that the network was trained on: frames are taken at the interval
of its training clips, whatever the video's frame rate. A recording that lies on its side is set upright. Memory does
not grow with the length of the video.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from fer3d.data import clips
from fer3d.data.databases import Sequence
from fer3d.data.databases.release import Release
from fer3d.data.faces import FaceTracker
from fer3d.data.video import IMAGE_SUFFIXES, TURNS, Flaw, VideoError
from fer3d.errors import InputError
from fer3d.training import devices
from fer3d.training.batches import to_device
from fer3d.training.inference import Predictor
from fer3d.training.run import TrainedModel, load_model

_BATCH = 8
_FRAME_RATE = 30.0
"""Frames a second of a network that does not say at what rate it was trained: that of CK+."""


def predict(video: Path | str, run: Path | str, frame_step: float | None = None) -> pd.DataFrame:
    """The predictions of a finished run's network for a video, one row for every ten frames.

    Args:
        video: any video that OpenCV reads, or a folder of images, which are taken in the order of their numbers.
        run: the folder of a finished run.
        frame_step: seconds between the frames that are taken; 0 takes every frame. By default the step of the
            network's training clips.

    Returns:
        The rows of `predict_rows`; what a row does not have is empty.

    Raises:
        InputError: a video that cannot be read, or no finished run.
    """
    return pd.DataFrame(predict_rows(Path(video), Path(run), frame_step))


def predict_rows(video: Path, run: Path, frame_step: float | None = None) -> Iterator[dict[str, Any]]:
    """The rows of `predict` one by one, while the video is being read.

    Yields:
        For every ten frames ``first_frame`` (counted from 0), ``seconds`` (its time, where known), ``padded``,
        ``small`` and ``doubtful`` (frames that repeat another, with a small face, with doubtful landmarks),
        ``n_faces``, ``score`` and ``confidence`` (the smallest of a frame), ``prediction`` and ``p_<emotion>`` in
        label order. Or, for ten frames that are not used, ``first_frame``, ``seconds`` and ``reason``. Or, for frames
        that the recording lacks, ``first_frame`` and ``flaw``.

    Raises:
        InputError: a video that can't be read, or no finished run.
    """
    model = load_model(run)
    predictor = Predictor(model, devices.single_process_fabric())  # the best here, whatever it was trained on
    settings = dataclasses.replace(model.clips, frame_step=_frame_step(model) if frame_step is None else frame_step)
    pieces = clips.cut(_sequence(video), FaceTracker(settings))
    try:
        while batch := list(itertools.islice(pieces, _BATCH)):
            found = [piece for piece in batch if isinstance(piece, clips.Clip)]
            probabilities = iter(_probabilities(predictor, found) if found else ())
            for piece in batch:
                if isinstance(piece, Flaw):
                    yield {"first_frame": piece.first_frame, "flaw": piece.why}
                elif isinstance(piece, clips.DroppedClip):
                    yield {"first_frame": piece.first_frame, "seconds": _time(piece.seconds), "reason": piece.reason}
                else:
                    yield _row(piece, model.network.classes, next(probabilities))
    except VideoError as error:
        raise InputError(f"{error}: expected a video that OpenCV reads, or a folder of images", error.remedy) from error


def _sequence(video: Path) -> Sequence:
    """The recording to predict; it may lie on its side."""
    images: tuple[Path, ...] = ()
    if video.is_dir():
        images = tuple(file for file in Release(video).listing(video)[1] if file.suffix.lower() in IMAGE_SUFFIXES)
    return Sequence("own", "", video.stem, video, images, views=TURNS)


def _frame_step(model: TrainedModel) -> float:
    return model.clips.frame_step or 1 / (model.frame_rate or _FRAME_RATE)


def _time(seconds: float) -> float | None:
    return None if math.isnan(seconds) else round(seconds, 3)


def _probabilities(predictor: Predictor, found: list[clips.Clip]) -> np.ndarray:
    """(B, K) for B clips."""
    frames = torch.from_numpy(np.stack([clip.frames for clip in found]))
    landmarks = torch.from_numpy(np.stack([clip.landmarks for clip in found]))
    return predictor(to_device(frames, predictor.device), to_device(landmarks, predictor.device))


def _row(clip: clips.Clip, classes: tuple[str, ...], probabilities: np.ndarray) -> dict[str, Any]:
    return {
        "first_frame": clip.first_frame,
        "seconds": _time(clip.seconds),
        "padded": clip.padded,
        "small": clip.small,
        "doubtful": clip.doubtful,
        "n_faces": clip.n_faces,
        "score": round(clip.score, 4),
        "confidence": round(clip.confidence, 4),
        "prediction": classes[int(probabilities.argmax())],
        **{f"p_{name}": round(float(p), 4) for name, p in zip(classes, probabilities, strict=True)},
    }
