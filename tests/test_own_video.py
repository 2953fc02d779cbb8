"""A network on one's own recordings: what is read, what a row says, and what the summary makes of the rows."""

import dataclasses
import datetime
import itertools
import math
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import scenes
from dots import PROFILE, moving_dots, with_training, written
from PIL import Image

from fer3d import own_video, video_report
from fer3d.errors import InputError
from fer3d.evaluation import canvas
from fer3d.own_video import NOTE, Options, Weights
from fer3d.training.train import train
from fer3d.workbook.explorers.upload import explore_recording


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose clips have four frames."""
    folder = tmp_path_factory.mktemp("trained")
    train([written(moving_dots(), folder / "store")], folder / "run", PROFILE)
    return folder / "run"


def video(path: Path, pictures: list[np.ndarray], rate: float = 30.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, pictures[0].shape[1::-1])
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_a_row_tells_who_when_where_and_what(run: Path, tmp_path: Path) -> None:
    table = own_video.predict(video(tmp_path / "own.avi", scenes.walk(9, blank=(8,))), run)
    assert list(table["first_frame"]) == [0, 4, 8] and list(table["last_frame"]) == [3, 7, 8]
    assert table["start"].tolist() == pytest.approx([0, 4 / 30, 8 / 30], abs=1e-3)
    first = table.iloc[0]
    assert (first["file"], first["person"], first["padded"], first["n_faces"]) == ("own.avi", 1, 0, 1)
    assert abs(first["box_x"] - 245) < 30 and 100 < first["box_side"] < 300 and 0 < first["confidence"] <= 1
    probabilities = table.filter(like="p_").iloc[:2]
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)
    assert list("p_" + table["label"].iloc[:2]) == list(probabilities.idxmax(axis=1))
    assert table["reason"].iloc[2] == "no face found" and table.iloc[2].filter(like="p_").isna().all()
    assert table["weights"].eq("run, trained on MMI").all() and table["note"].eq(NOTE).all()


def test_a_folder_of_images_is_read_in_the_order_of_its_numbers(run: Path, tmp_path: Path) -> None:
    for number, picture in enumerate(scenes.walk(12)):
        Image.fromarray(picture).save(tmp_path / f"frame{number}.png")
    table = own_video.predict(tmp_path, run, frame_rate=10)
    assert list(table["first_frame"]) == [0, 4, 8] and table["end"].iloc[-1] == pytest.approx(1.2)
    moved = table["box_x"].diff().iloc[1:]
    assert (moved > 5).all(), "the head moves to the right"


def test_a_single_image_is_said_to_be_one(run: Path, tmp_path: Path) -> None:
    Image.fromarray(scenes.head(300, 220)).save(tmp_path / "face.png")
    weights = Weights.load(run)
    recording = own_video.open_recording(str(tmp_path / "face.png"), weights, Options())
    rows = [row for _, ended in own_video.watch(recording, weights, Options()) for row in ended]
    assert own_video.summarise(recording, rows, weights)["kind"] == "image" and rows[0]["padded"] == 3
    assert own_video.open_recording(str(tmp_path), weights, Options()).kind == "image", "the only one of its folder"


def test_damage_that_the_decoder_conceals_is_noted(run: Path, tmp_path: Path) -> None:
    """Every frame decodes and has its prediction; that some may be smeared is a row of its own."""
    path = video(tmp_path / "own.avi", scenes.walk(8))
    sound = own_video.predict(path, run)
    content = bytearray(path.read_bytes())
    for start in range(len(content) // 2, 3 * len(content) // 4, 2000):
        content[start : start + 4] = b"\xff\xff\x00\x7f"
    path.write_bytes(content)
    *predicted, note = own_video.predict(path, run).itertuples()
    assert "the decoder reports errors" in str(note.reason) and math.isnan(note.start)
    assert sound["reason"].isna().all() and len(predicted) >= 1


def test_without_an_option_a_window_is_as_long_as_the_training_clips_but_10_seconds_at_most(
    run: Path, tmp_path: Path
) -> None:
    for number, picture in enumerate(scenes.walk(24)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    loaded = Weights.load(run)
    for rate, seconds in ((0.1, 10), (0.5, 8)):  # the network's clips have four frames: of 40 and 8 seconds
        weights = dataclasses.replace(loaded, model=dataclasses.replace(loaded.model, frame_rate=rate))
        options = Options(frame_rate=2.0)
        steps = own_video.watch(own_video.open_recording(str(tmp_path), weights, options), weights, options)
        first = next(row for _, ended in steps for row in ended)
        assert (first["start"], first["last_frame"], first["padded"]) == (0, 2 * seconds * 3 // 4, 0)


def test_a_gap_ends_as_a_window_does_when_its_last_frame_ends(run: Path, tmp_path: Path) -> None:
    nobody = [scenes.COFFEE] * 4
    table = own_video.predict(video(tmp_path / "own.avi", [*nobody, *scenes.walk(6), *nobody], rate=10.0), run)
    gaps = table[table["reason"] == "no face found"]
    assert gaps["last_frame"].tolist()[-1] == 13 and gaps["end"].tolist()[-1] == pytest.approx(1.4)
    assert gaps["end"].tolist() == pytest.approx((gaps["last_frame"] + 1) / 10) and len(gaps) == 2


def test_a_frame_rate_is_refused_where_no_input_is_a_folder(run: Path, tmp_path: Path) -> None:
    own = str(video(tmp_path / "own.avi", scenes.walk(4)))
    (tmp_path / "frames").mkdir()
    Image.fromarray(scenes.head(300, 220)).save(tmp_path / "frames" / "1.png")
    for source in (own, "7"):
        with pytest.raises(InputError, match=r"^frame rate 5: expected a folder of images .*; try the same without it"):
            own_video.predict(source, run, frame_rate=5)
    with pytest.raises(InputError, match=r"^frame rate 5: "):
        video_report.run([own, own], Weights.load(run), Options(frame_rate=5.0), None, print)
    video_report.run([own, str(tmp_path / "frames")], Weights.load(run), Options(frame_rate=5.0), None, print)


def test_missing_images_are_a_gap_that_no_window_spans(run: Path, tmp_path: Path) -> None:
    for number, picture in enumerate(scenes.walk(9)):
        Image.fromarray(picture).save(tmp_path / f"frame{number + 10 * (number > 5)}.png")
    table = own_video.predict(tmp_path, run)
    assert table["first_frame"].tolist() == [0, 6, 6]
    assert table["reason"].tolist()[1:] == ["images 6 to 15 are missing", "seen for less than a window"]
    after = table.loc[2, ["start", "end"]].tolist()
    assert after == pytest.approx([16 / 30, 19 / 30], abs=0.001), "what is missing has passed all the same"


def test_a_broken_image_is_a_gap_and_reading_goes_on(run: Path, tmp_path: Path) -> None:
    for number, picture in enumerate(scenes.walk(9)):
        Image.fromarray(picture).save(tmp_path / f"frame{number}.png")
    (tmp_path / "frame4.png").write_bytes((tmp_path / "frame4.png").read_bytes()[:500])
    table = own_video.predict(tmp_path, run)
    assert table["first_frame"].tolist() == [0, 4, 5] and table["label"].notna().tolist() == [True, False, True]
    assert table["reason"][1].startswith("frame4.png: ")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_lying_recording_is_set_upright(run: Path, tmp_path: Path, turns: int) -> None:
    lying = video(tmp_path / "lying.avi", [np.rot90(picture, turns).copy() for picture in scenes.walk(4)])
    recording = own_video.open_recording(str(lying), Weights.load(run), Options())
    assert recording.rotation == 90 * turns
    assert own_video.predict(lying, run)["label"].notna().all()
    assert own_video.predict(lying, run, rotation=0)["label"].isna().all()


def test_a_camera_is_read_with_the_times_at_which_frames_come(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera:
        def __init__(self, index: int) -> None:
            self.frames = iter(scenes.walk(6) if index == 0 else ())

        def isOpened(self) -> bool:
            return next(self.frames, None) is not None

        def read(self) -> tuple[bool, np.ndarray | None]:
            frame = next(self.frames, None)
            return frame is not None, frame

        def release(self) -> None:
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    assert own_video.predict("0", run)["label"].notna().any()
    with pytest.raises(InputError, match="camera 7: no such camera"):
        own_video.predict("7", run)


class SilentCamera:
    """It opens, and gives no frame."""

    interrupted = False

    def __init__(self, _index: int) -> None:
        pass

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, None]:
        if self.interrupted:
            os.kill(os.getpid(), signal.SIGINT)
        return False, None

    def release(self) -> None:
        pass


def test_a_camera_without_a_picture_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", SilentCamera)
    with pytest.raises(
        InputError, match=r"^camera 0: the camera gives no picture.* try closing the program that uses it"
    ):
        own_video.predict("0", run)


def test_ctrl_c_before_a_camera_s_first_frame_ends_as_anywhere(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", type("Camera", (SilentCamera,), {"interrupted": True}))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        own_video.predict("0", run)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_folder_whose_images_are_refused_says_why(run: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    Image.fromarray(scenes.head(300, 220)).save(tmp_path / "face.png")
    (tmp_path / "frames" / "0.png").symlink_to(tmp_path / "face.png")
    with pytest.raises(
        InputError, match=r"^frames: a folder without images \(0\.png: a link .* try a copy in place of"
    ):
        own_video.predict(tmp_path / "frames", run)
    (tmp_path / "frames" / "0.png").unlink()
    with pytest.raises(InputError, match=r"^frames: a folder without images: .* try the folder that holds the frames"):
        own_video.predict(tmp_path / "frames", run)


def test_an_upload_takes_the_place_of_the_first_picture(run: Path, tmp_path: Path) -> None:
    explorer = explore_recording(canvas.empty(9, 1.5, "the first"), Weights.load(run))

    def upload(name: str, content: bytes) -> bytes:
        file = {"name": name, "type": "", "size": len(content), "content": memoryview(content)}
        explorer.controls["upload"].value = (file | {"last_modified": datetime.datetime.now(datetime.UTC)},)
        return explorer.png

    pictures = [
        explorer.png,
        upload("own.avi", video(tmp_path / "own.avi", scenes.walk(4)).read_bytes()),
        upload("notes.txt", b"hello"),
    ]
    heights = [cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape[0] for png in pictures]
    assert heights[1] > max(heights[0], heights[2]) and len(set(pictures)) == 3, "a timeline, then why there is none"
    assert explorer.alt == "upload notes.txt"


@pytest.mark.parametrize("name", ["none.mp4", "https://example.org/none.mp4"])
def test_a_recording_that_is_not_there_is_named_as_it_was_typed(run: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: no such file or folder"):
        own_video.predict(name, run)


def test_weights_that_are_not_there_are_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected the folder of a finished training .* try --weights synthetic"):
        Weights.load(tmp_path / "none")


def test_a_name_of_many_digits_is_no_camera(run: Path) -> None:
    with pytest.raises(InputError, match="20261126123000: "):
        own_video.predict("20261126123000", run)


def test_after_ctrl_c_a_camera_s_recording_is_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Camera:
        def __init__(self, _index: int) -> None:
            self.frames = itertools.cycle(scenes.walk(6))
            self.read_so_far = 0

        def isOpened(self) -> bool:
            return True

        def read(self) -> tuple[bool, np.ndarray]:
            self.read_so_far += 1
            if self.read_so_far == 9:
                os.kill(os.getpid(), signal.SIGINT)
            if self.read_so_far > 20:
                pytest.fail("the camera is read on")
            return True, next(self.frames)

        def release(self) -> None:
            pass

    opened = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda what, *how: opened(what, *how) if how else Camera(what))
    before = signal.getsignal(signal.SIGINT)
    assert video_report.run(["0"], Weights.load(run), Options(), tmp_path / "out", lambda _row: None)
    assert signal.getsignal(signal.SIGINT) is before
    written = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert written["label"].notna().any() and (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window = 0 should be .* 0.01"),
        ({"window": 11}, "window = 11 should be .* 10"),
        ({"window": "1"}, "window = '1' should be"),
        ({"step": math.nan}, "step = nan should be"),
        ({"step": [1]}, r"step = \[1\] should be"),
        ({"frame_rate": 0}, "frame_rate = 0 should be"),
        ({"frame_rate": True}, "frame_rate = True should be"),
        ({"person": "tall"}, "person 'tall': expected all, largest or a number"),
        ({"person": 0}, "person '0': expected all, largest or a number"),
        ({"person": "1" * 5000}, "expected all, largest or a number"),
        ({"person": None}, "person 'None': expected all, largest or a number"),
        ({"rotation": 45}, "rotation '45': expected auto, 0, 90, 180 or 270"),
        ({"detector": "yolo"}, "detector = 'yolo' should be 'haar' or 'hog'"),
        ({"detector": 1}, "detector = 1 should be"),
        ({"min_face": 0}, "min_face = 0 should be"),
        ({"min_face": "80"}, "min_face = '80' should be"),
        ({"windows": 1}, "no setting 'windows' here; try window"),
    ],
)
def test_an_unusable_option_is_one_line(run: Path, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^[^\n]*{message}"):
        own_video.predict("none.avi", run, **options)
    with pytest.raises(InputError, match=message):
        Options(**options)


def test_options_are_given_by_name_or_in_their_order() -> None:
    options = Options(1, None, 2, 40, "hog", 90, 25)  # type: ignore[arg-type]
    assert options == Options(window=1.0, person="2", min_face=40, detector="hog", rotation="90", frame_rate=25.0)
    with pytest.raises(InputError, match="step = 0 should be"):
        Options(None, 0)


def row(start: float, label: str, person: int = 1, **p: float) -> dict:
    probabilities = {f"p_{name}": p.get(name, 0.0) for name in ("happiness", "neutral")}
    return {"person": person, "start": start, "end": start + 1, "padded": 0, "label": label, **probabilities}


def test_the_summary_gives_shares_longest_runs_and_a_verdict_per_person(run: Path) -> None:
    weights = Weights.load(run)
    network = type("Network", (), {"classes": ("happiness", "neutral")})
    weights = Weights("w", "people", "", type("Model", (), {"network": network}))  # type: ignore[arg-type]
    smile, rest = {"happiness": 0.9, "neutral": 0.1}, {"happiness": 0.2, "neutral": 0.8}
    rows = [
        row(0, "happiness", **smile), row(1, "happiness", **smile), row(2, "neutral", **rest),
        row(7, "happiness", **smile), row(9.9, "happiness", **smile), row(0, "neutral", 2, **rest),
        {"person": None, "first_frame": 3, "last_frame": 6, "start": 3, "end": 7, "reason": "no face found"},
    ]  # fmt: skip
    recording = own_video.Recording("own.avi", "video", iter(()), 0, frames=11, seconds=11.0, took=2.0)
    summary = own_video.summarise(recording, rows, weights)
    one, other = summary["people"]["1"], summary["people"]["2"]
    assert one["share"] == {"happiness": 0.8, "neutral": 0.2} and one["verdict"] == "happiness"
    assert one["longest"] == {"happiness": {"start": 0, "end": 2}, "neutral": {"start": 2, "end": 3}}
    assert other["verdict"] == "no expression"
    assert [gap["reason"] for gap in summary["gaps"]] == ["no face found"] and summary["ratio"] == 5.5


def test_weights_that_were_tested_on_another_database_name_it(tmp_path: Path) -> None:
    learned, other = moving_dots("ckplus"), moving_dots("mmi")
    train([learned], tmp_path / "run", with_training(epochs=1), test=other)
    tested = Weights.load(tmp_path / "run").tested
    assert "clips of MMI were predicted correctly" in tested and "held-out" not in tested


def test_a_name_that_cannot_be_printed_becomes_one_that_can(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "a\n\udcff\x1b.png"
    cv2.imwrite(str(tmp_path / "a.png"), scenes.walk(1)[0][..., ::-1])
    (tmp_path / "a.png").rename(source)
    assert own_video.open_recording(str(source), Weights.load(run), Options()).name == "a???.png"
