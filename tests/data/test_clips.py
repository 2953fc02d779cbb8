"""Ten-frame clips: the paper's ten frames, runs of one label, what is too short."""

import dataclasses
from collections.abc import Sequence as Several
from pathlib import Path

import numpy as np
import pytest
from scenes import COFFEE, head, walk
from trees import write_image

from fer3d.config import ClipSettings
from fer3d.data import clips
from fer3d.data.databases.sequence import Sequence
from fer3d.data.faces import FaceTracker
from fer3d.data.file_kinds import VideoError
from fer3d.data.video import Flaw, TimedFrame, View

SETTINGS = ClipSettings(size=48)


def fake(frames: Several[np.ndarray], monkeypatch: pytest.MonkeyPatch, **fields: object) -> Sequence:
    """A sequence whose frames need no file."""
    monkeypatch.setattr(clips, "read_frames", lambda source, images: iter(frames))
    timed = [item if isinstance(item, Flaw) else TimedFrame(i, i / 25, item) for i, item in enumerate(frames)]
    monkeypatch.setattr(clips, "read_timed", lambda source, images, frame_rate: iter(timed))
    return Sequence(**({"database": "mmi", "subject": "S1", "name": "1", "source": Path("x")} | fields))  # type: ignore[arg-type]


def cut(sequence: Sequence, settings: ClipSettings = SETTINGS) -> list[clips.Clip | clips.DroppedClip | Flaw]:
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
        assert piece == clips.DroppedClip(0, 0.0, "sequence of 4 frames")
        return
    assert isinstance(piece, clips.Clip) and piece.padded == padded
    which = [
        int(np.argmin([np.abs(piece.landmarks[t] - piece.landmarks[s]).sum() for s in range(t + 1)])) for t in range(10)
    ]
    assert len(set(which)) == 4
    assert which == ([0] * 7 + [7, 8, 9] if short == "repeat_first" else [0, 0, 2, 2, 2, 5, 5, 5, 8, 8])


def test_frame_labels_are_cut_by_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ("neutral",) * 12 + (None,) * 2 + ("fear",) * 10 + ("anger",) * 5
    *pieces, longer = cut(fake(walk(32), monkeypatch, database="disfa", frame_labels=labels))
    assert longer == Flaw(29, "only 29 labels: the frames behind are not used")
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


def moving(rate: float, count: int) -> list[np.ndarray]:
    """A head that moves by 75 pixels a second, at so many frames a second."""
    return [head(240 + 75 * i / rate, 220) for i in range(count)]


def at_rate(rate: float, count: int, step: float, monkeypatch: pytest.MonkeyPatch) -> clips.Clip:
    sequence = fake([], monkeypatch, label="fear")
    timed = [TimedFrame(i, i / rate, picture) for i, picture in enumerate(moving(rate, count))]
    monkeypatch.setattr(clips, "read_timed", lambda source, images, frame_rate: iter(timed))
    [piece] = cut(sequence, dataclasses.replace(SETTINGS, frame_step=step))
    assert isinstance(piece, clips.Clip)
    return piece


def test_the_same_motion_gives_the_same_clip_at_any_frame_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = (at_rate(rate, count, 0.04, monkeypatch) for rate, count in ((25, 10), (50, 20)))
    assert (slow.frame_rate, fast.frame_rate) == (pytest.approx(25), pytest.approx(25))
    assert slow.numbers.tolist() == list(range(10)) and fast.numbers.tolist() == list(range(0, 20, 2))
    assert np.array_equal(slow.frames, fast.frames)
    paper = at_rate(50, 10, 0.0, monkeypatch)
    assert paper.numbers.tolist() == list(range(10)) and paper.frame_rate == pytest.approx(50)


def test_a_slower_recording_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = at_rate(10, 10, 0.04, monkeypatch)
    assert piece.numbers.tolist() == list(range(10)) and piece.frame_rate == pytest.approx(10)


def test_frames_are_taken_at_the_nearest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_rate(50, 17, 1 / 30, monkeypatch).numbers.tolist() == [0, 2, 3, 5, 7, 8, 10, 12, 13, 15]


BREAKS = {
    "the face jumps, a scene cut or another person at frame 5": lambda i: head(150, 220) if i < 5 else head(480, 220),
    "a scene cut at frame 5": lambda i: head(240, 220) if i < 5 else head(240, 220, on=255 - COFFEE),
    "another person at frame 5": lambda i: head(300, 232, 1.6) if i < 5 else head(300, 232, 1.6, mirrored=True),
}


@pytest.mark.parametrize("reason", BREAKS)
def test_a_clip_shows_one_person_in_one_scene(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = cut(fake([BREAKS[reason](i) for i in range(20)], monkeypatch, label="fear"))
    assert [piece.reason if isinstance(piece, clips.DroppedClip) else "" for piece in pieces] == [reason, ""]  # type: ignore[union-attr]


@pytest.mark.parametrize("reason", BREAKS)
@pytest.mark.parametrize(("apart", "told"), [(1, True), (15, True), (16, False), (150, False)])
def test_only_frames_that_lie_close_together_are_compared(
    reason: str, apart: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten frames spread over a long recording show a person who moves for seconds from one to the next."""
    sequence = fake([], monkeypatch, label="fear")
    timed = [TimedFrame(apart * i, apart * i / 25, BREAKS[reason](i)) for i in range(10)]
    monkeypatch.setattr(clips, "read_timed", lambda source, images, frame_rate: iter(timed))
    [piece] = cut(sequence)
    assert isinstance(piece, clips.DroppedClip) is told
    if isinstance(piece, clips.DroppedClip):
        assert piece.reason == reason.replace("at frame 5", f"at frame {5 * apart}")


def test_labels_of_frames_do_not_fit_images_of_which_some_are_missing(tmp_path: Path) -> None:
    images = tuple(write_image(tmp_path / f"{number}.png") for number in (1, 2, 3, 4, 5, 8, 9))
    labelled = Sequence("disfa", "S1", "1", tmp_path, images, frame_labels=7 * ("fear",))
    with pytest.raises(VideoError, match="images 6 to 7 are missing, so that labels and frames do not match"):
        cut(labelled)


def test_no_clip_spans_lost_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list = walk(25)
    frames[13] = Flaw(13, "frame 13 is lost: the file has a hole")
    first, second, flaw = cut(fake(frames, monkeypatch, label="fear"))
    assert isinstance(first, clips.Clip) and flaw == frames[13]
    assert second == clips.DroppedClip(10, pytest.approx(0.4), "frames of the recording are lost within it")


def test_labels_of_frames_need_to_know_which_frames_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list = [*walk(10), Flaw(None, "2 of 12 frames are lost: the file has a hole")]
    with pytest.raises(VideoError, match="labels and frames do not match"):
        cut(fake(frames, monkeypatch, database="disfa", frame_labels=("fear",) * 12))


def test_of_a_sequence_that_ends_at_the_apex_the_last_frames_are_taken_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tuple(write_image(tmp_path / f"{i}.png", picture=picture) for i, picture in enumerate(walk(24)))
    sequence = Sequence("ckplus", "S1", "1", tmp_path, images, frame_rate=30.0, label="fear")
    [piece] = cut(sequence, dataclasses.replace(SETTINGS, frame_step=1 / 15))
    assert isinstance(piece, clips.Clip)
    assert piece.numbers.tolist() == list(range(5, 24, 2)) and piece.seconds == pytest.approx(5 / 30)
