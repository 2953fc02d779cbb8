"""Ten-frame clips: the paper's ten frames, runs of one label, what is too short."""

import dataclasses
from collections.abc import Sequence as Several
from pathlib import Path

import numpy as np
import pytest
from scenes import walk

from fer3d.config import ClipSettings
from fer3d.data import clips
from fer3d.data.databases.sequence import Sequence
from fer3d.data.faces import FaceTracker
from fer3d.data.video import View

SETTINGS = ClipSettings(size=48)


def fake(frames: Several[np.ndarray], monkeypatch: pytest.MonkeyPatch, **fields: object) -> Sequence:
    """A sequence whose frames need no file."""
    monkeypatch.setattr(clips, "read_frames", lambda source, images: iter(frames))
    return Sequence(**({"database": "mmi", "subject": "S1", "name": "1", "source": Path("x")} | fields))  # type: ignore[arg-type]


def cut(sequence: Sequence, settings: ClipSettings = SETTINGS) -> list[clips.Clip | clips.DroppedClip]:
    return list(clips.cut(sequence, FaceTracker(settings)))


def test_the_crop_of_each_frame_alone_keeps_the_points_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = fake(walk(10), monkeypatch, label="anger")
    [per_clip] = cut(sequence)
    [per_frame] = cut(sequence, dataclasses.replace(SETTINGS, crop_per="frame"))
    assert isinstance(per_clip, clips.Clip) and isinstance(per_frame, clips.Clip)
    assert np.ptp(per_clip.landmarks[:, 30, 0]) > 3 * np.ptp(per_frame.landmarks[:, 30, 0])


def test_other_databases_give_successive_tens(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = cut(fake(walk(23), monkeypatch, label="fear"))
    assert [(piece.first_frame, piece.padded, piece.label) for piece in pieces if isinstance(piece, clips.Clip)] == [
        (0, 0, "fear"),
        (10, 0, "fear"),
    ]
    assert len(pieces) == 2


@pytest.mark.parametrize(("short", "padded"), [("repeat_first", 6), ("resample", 6), ("drop", None)])
def test_fewer_than_ten(short: str, padded: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(SETTINGS, short=short)  # type: ignore[arg-type]
    [piece] = cut(fake(walk(4), monkeypatch, label="fear"), settings)
    if padded is None:
        assert piece == clips.DroppedClip(0, "sequence of 4 frames")
        return
    assert isinstance(piece, clips.Clip) and piece.padded == padded
    which = [
        int(np.argmin([np.abs(piece.landmarks[t] - piece.landmarks[s]).sum() for s in range(t + 1)])) for t in range(10)
    ]
    assert len(set(which)) == 4
    assert which == ([0] * 7 + [7, 8, 9] if short == "repeat_first" else [0, 0, 2, 2, 2, 5, 5, 5, 8, 8])


def test_frame_labels_are_cut_by_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ("neutral",) * 12 + (None,) * 2 + ("fear",) * 10 + ("anger",) * 5
    pieces = cut(fake(walk(32), monkeypatch, database="disfa", frame_labels=labels))
    assert [(p.first_frame, p.label if isinstance(p, clips.Clip) else p.reason) for p in pieces] == [
        (0, "neutral"),
        (10, "run of 2 frames with one label"),
        (14, "fear"),
        (24, "run of 5 frames with one label"),
    ]


def test_the_upright_view_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    lying = [np.rot90(picture) for picture in walk(10)]
    [piece] = cut(fake(lying, monkeypatch, label="anger", views=(View(0), View(90))))
    assert isinstance(piece, clips.Clip) and not piece.missing
