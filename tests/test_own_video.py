"""A network on one's own video: each prediction stays with its clip. The whole way from a video: see test_cli."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fer3d import own_video
from fer3d.config import ClipSettings, TrainingSettings
from fer3d.data import clips
from fer3d.data.video import Flaw, VideoError
from fer3d.errors import InputError
from fer3d.training.run import TrainedModel

CLASSES = ("anger", "fear", "happiness")


def clip(k: int) -> clips.Clip:
    """The k-th ten frames of a video, in which each pixel is k."""
    pictures = np.full((10, 8, 8, 3), k, np.uint8)
    return clips.Clip(
        first_frame=10 * k,
        seconds=k / 3,
        frame_rate=30,
        label="",
        padded=0,
        small=2,
        doubtful=1,
        frames=pictures,
        landmarks=np.zeros((10, 66, 2)),
        detections=np.ones((10, 3)),
        squares=np.zeros((10, 4)),
        numbers=np.arange(10 * k, 10 * k + 10),
        missing={},
    )


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[clips.Clip | clips.DroppedClip]:
    """Eleven tens, more than a batch; some show no face. The prediction is the number of the ten, modulo 3."""
    network = SimpleNamespace(classes=CLASSES, size=8)
    model = TrainedModel(network, TrainingSettings(), ClipSettings(size=8))  # type: ignore[arg-type]

    class Predictor:
        device = torch.device("cpu")

        def __init__(self, *_: object) -> None:
            pass

        def __call__(self, frames: torch.Tensor, landmarks: torch.Tensor) -> np.ndarray:
            return 0.1 + 0.7 * np.eye(3)[frames[:, 0, 0, 0, 0] % 3]

    monkeypatch.setattr(own_video, "load_model", lambda run: model)
    monkeypatch.setattr(own_video, "Predictor", Predictor)
    return [clips.DroppedClip(10 * k, k / 3, "no face found") if k in (0, 4, 5, 9) else clip(k) for k in range(11)]


def test_each_prediction_stays_with_its_clip(pieces: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "cut", lambda sequence, tracker: iter(pieces))
    rows = list(own_video.predict_rows(Path("own.avi"), Path("run")))
    assert [row["first_frame"] for row in rows] == list(range(0, 110, 10))
    assert [row.get("prediction") for row in rows] == [
        CLASSES[k % 3] if isinstance(piece, clips.Clip) else None for k, piece in enumerate(pieces)
    ]
    assert rows[0] == {"first_frame": 0, "seconds": 0.0, "reason": "no face found"}
    assert rows[2] == {
        "first_frame": 20, "seconds": 0.667, "padded": 0, "small": 2, "doubtful": 1,
        "n_faces": 1, "score": 1.0, "confidence": 1.0, "prediction": "happiness",
        "p_anger": 0.1, "p_fear": 0.1, "p_happiness": 0.8,
    }  # fmt: skip


def test_a_folder_of_images_is_a_recording_that_may_lie_on_its_side(
    pieces: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a10.png", "a9.PNG", "notes.txt"):
        (tmp_path / name).touch()
    given = []
    monkeypatch.setattr(clips, "cut", lambda sequence, tracker: given.append((sequence, tracker.settings)) or iter(()))
    assert list(own_video.predict_rows(tmp_path, Path("run"))) == []
    list(own_video.predict_rows(tmp_path, Path("run"), frame_step=0.1))
    (sequence, by_training), (_, by_hand) = given
    assert [image.name for image in sequence.images] == ["a9.PNG", "a10.png"] and len(sequence.views) == 4
    assert (by_training.frame_step, by_hand.frame_step) == (pytest.approx(1 / 30), 0.1)


def test_lost_frames_are_a_row_of_their_own(pieces: list, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*pieces[1:3], Flaw(20, "frame 20 of 60: the file breaks off")]
    monkeypatch.setattr(clips, "cut", lambda sequence, tracker: iter(broken))
    *_, row = own_video.predict_rows(Path("own.avi"), Path("run"))
    assert row == {"first_frame": 20, "flaw": "frame 20 of 60: the file breaks off"}


def test_a_video_that_breaks_late_is_one_line(pieces: list, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> Iterator[clips.Clip | clips.DroppedClip]:
        yield from pieces
        raise VideoError("broken video")

    monkeypatch.setattr(clips, "cut", cut)
    with pytest.raises(InputError, match="broken video"):
        list(own_video.predict_rows(Path("own.avi"), Path("run")))
