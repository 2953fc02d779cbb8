"""A trained network on one's own video: tracked, cut into tens, answered clip by clip.

The same path as for a database: `faces` finds and follows the face, `clips` cuts
successive tens, the network of a finished run answers. Nothing grows with the video.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fer3d.config import TrainingSettings
from fer3d.data import clips
from fer3d.data.databases import Sequence
from fer3d.data.faces import FaceTracker
from fer3d.data.video import VideoError
from fer3d.errors import InputError
from fer3d.training import devices
from fer3d.training import train as training
from fer3d.training.batches import sent

_BATCH = 8


def predict(video: Path, run: Path) -> Iterator[dict[str, Any]]:
    """What a run's network says of each ten frames of a video.

    Yields rows with ``first_frame`` (counted from 0), ``n_faces``, ``score`` (the detector's
    smallest confidence), ``prediction`` and ``p_<emotion>`` in label order; or, where no face
    was found, ``first_frame`` and ``reason``.

    Raises:
        InputError: a video that can't be read, or no finished run.
    """
    model = training.load_model(run)
    classes = model.network.classes
    answers = training.Answers(model, devices.alone(TrainingSettings()))  # the best here, whatever it learned on
    # The label is only carried along: `cut` leaves out what has none.
    sequence = Sequence("own", "", video.stem, video, label=classes[0])
    pieces = clips.cut(sequence, FaceTracker(model.clips))
    try:
        while batch := list(itertools.islice(pieces, _BATCH)):
            found = [piece for piece in batch if isinstance(piece, clips.Clip)]
            shares_of = iter(answers(*_batch(found, answers.fabric.device)) if found else ())
            for piece in batch:
                if isinstance(piece, clips.DroppedClip):
                    yield {"first_frame": piece.first_frame, "reason": piece.reason}
                    continue
                shares = next(shares_of)
                yield {
                    "first_frame": piece.first_frame,
                    "n_faces": piece.n_faces,
                    "score": round(piece.score, 4),
                    "prediction": classes[int(shares.argmax())],
                    **{f"p_{name}": round(float(share), 4) for name, share in zip(classes, shares, strict=True)},
                }
    except VideoError as error:
        raise InputError(str(error), "a video that OpenCV reads", "another file") from error


def _batch(found: list[clips.Clip], device: torch.device) -> tuple[Tensor, Tensor]:
    """Frames (B, T, H, W, 3) and landmarks (B, T, 66, 2) of B clips, on the device."""
    frames = torch.from_numpy(np.stack([clip.frames for clip in found]))
    landmarks = torch.from_numpy(np.stack([clip.landmarks for clip in found]))
    return sent(frames, device), sent(landmarks, device)
