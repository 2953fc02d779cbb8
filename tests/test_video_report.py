"""What `fer3d predict --out` leaves on disk."""

import json
import os
import resource
import shutil
import threading
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import scenes
from test_own_video import run, video  # noqa: F401 - a fixture

from fer3d import files, overlay, own_video, video_report
from fer3d.data.crop import Box
from fer3d.data.face_fit import Face
from fer3d.data.tracks import Step
from fer3d.data.video import TimedFrame
from fer3d.errors import InputError
from fer3d.own_video import NOTE, Options, Weights


def frames_of(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(frame)


def test_every_output_is_written_and_says_what_a_label_is(run: Path, tmp_path: Path) -> None:  # noqa: F811
    source, out, told = video(tmp_path / "own <b>.avi", scenes.walk(13, blank=(9,))), tmp_path / "out", []
    assert video_report.run([str(source)], Weights.load(run), Options(), out, told.append)
    names = {file.name for file in out.iterdir()}
    (overlay,) = names & {"overlay.mp4", "overlay.webm"}
    assert names == {
        "predictions.csv",
        "summary.json",
        "timeline.png",
        "timeline.svg",
        "timeline.csv",
        "index.html",
        overlay,
    }
    table = pd.read_csv(out / "predictions.csv")
    assert table["label"].equals(own_video.predict(source, run)["label"]) and len(told) == len(table) + 1
    summary = json.loads((out / "summary.json").read_text())
    assert summary["recordings"][0]["people"]["1"]["windows"] == 2 and summary["note"] == NOTE
    page = (out / "index.html").read_text()
    assert "own &lt;b&gt;.avi" in page and overlay in page and "timeline.png" in page
    for text in (page, (out / "timeline.svg").read_text().replace("\n", " ")):
        assert NOTE in text and "trained on MMI" in text
    frames = frames_of(out / overlay)
    assert len(frames) == 7 and all(side % 2 == 0 for side in frames[0].shape[:2])
    orange = [int(((frame[:, -140:, 2] > 180) & (frame[:, -140:, 0] < 80)).sum()) for frame in frames]
    assert min(orange[:4]) > 20 and orange[4] < 20, "bars where there is a prediction"


@pytest.mark.parametrize(("rate", "shown", "overlay_rate"), [(60.0, 3, 15.0), (25.0, 6, 12.5), (15.0, 12, 15.0)])
def test_an_overlay_shows_at_most_15_frames_a_second(
    run: Path,  # noqa: F811
    tmp_path: Path,
    rate: float,
    shown: int,
    overlay_rate: float,
) -> None:
    source = video(tmp_path / "own.avi", scenes.walk(12), rate)
    video_report.run([str(source)], Weights.load(run), Options(), tmp_path / "out", lambda value: None)
    (overlay,) = (tmp_path / "out").glob("overlay.*")
    assert cv2.VideoCapture(str(overlay)).get(cv2.CAP_PROP_FPS) == pytest.approx(overlay_rate, rel=0.01)
    assert len(frames_of(overlay)) == shown


def test_each_of_several_inputs_has_its_folder_and_a_broken_one_spoils_no_other(run: Path, tmp_path: Path) -> None:  # noqa: F811
    sources = [str(video(tmp_path / name, scenes.walk(4))) for name in ("a.avi", "b.avi")]
    out = tmp_path / "out"
    video_report.run(sources, Weights.load(run), Options(), out, lambda value: None)
    assert (out / "a" / "timeline.png").exists() and (out / "b" / "timeline.svg").exists()
    assert 'src="b/overlay' in (out / "index.html").read_text()
    assert set(pd.read_csv(out / "predictions.csv")["file"]) == {"a.avi", "b.avi"}
    with pytest.raises(InputError, match="none"):
        video_report.run([*sources, str(tmp_path / "none.avi")], Weights.load(run), Options(), tmp_path / "x", print)
    assert not (tmp_path / "x").exists(), "nothing begun"


def test_every_input_has_a_folder_of_its_own_inside(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    inside = tmp_path / "frames" / "inside"
    inside.mkdir(parents=True)
    for number, picture in enumerate(scenes.walk(4)):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), picture[..., ::-1])
    names = ("a.avi", "a.mov", "1-a.avi")
    sources = [str(video(tmp_path / name, scenes.walk(4))) for name in names]
    monkeypatch.chdir(inside)
    out = tmp_path / "out"
    video_report.run([*sources, ".."], Weights.load(run), Options(), out, lambda value: None)
    assert {folder.name for folder in out.iterdir() if folder.is_dir()} == {"1-a", "2-a", "3-1-a", "4-frames"}
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*names, "frames", "out"])


@pytest.mark.parametrize("name", ["...avi", "predictions.csv.avi", "overlay.webm.avi", ".prediction.part.avi"])
def test_a_file_s_name_leads_neither_outside_nor_in_a_result_s_place(run: Path, tmp_path: Path, name: str) -> None:  # noqa: F811
    sources = [str(video(tmp_path / each, scenes.walk(4))) for each in ("b.avi", "c.avi")]
    Path(sources[1]).rename(tmp_path / name)
    out = tmp_path / "out"
    video_report.run([sources[0], str(tmp_path / name)], Weights.load(run), Options(), out, lambda value: None)
    assert {folder.name for folder in out.iterdir() if folder.is_dir()} == {"1-b", f"2-{name.removesuffix('.avi')}"}
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, "b.avi", "out"])
    assert set(pd.read_csv(out / "predictions.csv")["file"]) == {"b.avi", name}


def test_a_second_prediction_in_a_folder_waits_for_the_first(
    run: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sources = [str(video(tmp_path / name, scenes.walk(8))) for name in ("a.avi", "b.avi")]
    weights, out, told = Weights.load(run), tmp_path / "out", []

    def predict(source: str) -> None:
        video_report.run([source], weights, Options(), out, tell)

    second = threading.Thread(target=predict, args=sources[1:])

    def tell(value: dict) -> None:
        told.append(value["file"])
        if len(told) == 1:
            second.start()
            second.join(timeout=4)

    predict(sources[0])
    second.join()
    assert told == sorted(told) and set(told) == {"a.avi", "b.avi"}
    assert f"another prediction writes into {out}; waiting for it to end" in capfd.readouterr().err
    assert set(pd.read_csv(out / "predictions.csv")["file"]) == {"b.avi"}
    assert {path.name for path in out.iterdir()} == set(video_report.written(out)), "no lock is left"


def test_the_folder_round_the_results_need_not_be_writable(run: Path, tmp_path: Path) -> None:  # noqa: F811
    source, out = str(video(tmp_path / "own.avi", scenes.walk(4))), tmp_path / "round" / "out"
    beside: list[Path] = []
    video_report.run([source], Weights.load(run), Options(), out, lambda value: beside.extend(out.parent.iterdir()))
    assert set(beside) == {out}


def test_inputs_of_one_name_are_called_as_they_were_typed(run: Path, tmp_path: Path) -> None:  # noqa: F811
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    names = ("one/clip.avi", "two/clip.avi", "two/other.avi")
    sources = [str(video(tmp_path / name, scenes.walk(4))) for name in names]
    out = tmp_path / "out"
    video_report.run(sources, Weights.load(run), Options(), out, lambda value: None)
    shown = [*sources[:2], "other.avi"]
    assert pd.read_csv(out / "predictions.csv")["file"].unique().tolist() == shown
    assert [each["file"] for each in files.read_json(out / "summary.json")["recordings"]] == shown


def test_inputs_are_open_one_at_a_time(run: Path, tmp_path: Path) -> None:  # noqa: F811
    sources = [str(video(tmp_path / f"{k}.avi", scenes.walk(2))) for k in range(3)]
    open_files: list[int] = []
    links = Path("/proc/self/fd")

    def count(_value: dict) -> None:
        targets = [str(link.readlink()) for link in links.iterdir() if link.is_symlink()]
        open_files.append(sum(target in sources for target in targets))

    video_report.run(sources, Weights.load(run), Options(), None, count)
    assert max(open_files) <= 1


def test_every_input_that_breaks_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    sources = [str(video(tmp_path / name, scenes.walk(4))) for name in ("a.avi", "b.avi", "c.avi")]
    watch = video_report.watch

    def breaks(recording, *rest):
        if recording.name != "b.avi":
            raise InputError(f"{recording.name} breaks")
        return watch(recording, *rest)

    monkeypatch.setattr(video_report, "watch", breaks)
    with pytest.raises(InputError, match=r"a\.avi breaks; c\.avi breaks"):
        video_report.run(sources, Weights.load(run), Options(), tmp_path / "out", lambda value: None)
    assert set(pd.read_csv(tmp_path / "out" / "predictions.csv")["file"]) == {"b.avi"}


@pytest.mark.parametrize("failing", ["opening", "replacing"])
def test_an_overlay_that_cannot_be_written_spoils_no_other_recording(
    run: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    sources, out = [str(video(tmp_path / name, scenes.walk(4))) for name in ("a.avi", "b.avi")], tmp_path / "out"

    opened = cv2.VideoWriter

    class Writer:
        fourcc = opened.fourcc

        def __new__(cls, path: str, *rest: object) -> cv2.VideoWriter:  # type: ignore[misc]
            return opened("/none/overlay.webm" if Path(path).parent.name == "a" else path, *rest)  # type: ignore[call-overload]

    if failing == "opening":
        monkeypatch.setattr(cv2, "VideoWriter", Writer)
    else:
        for name in ("overlay.mp4", "overlay.webm"):
            (out / "a" / name / "kept").mkdir(parents=True)
    with pytest.raises(InputError, match=rf"{out / 'a'}.*; try another") as caught:
        video_report.run(sources, Weights.load(run), Options(), out, lambda value: None)
    assert failing == "replacing" or str(caught.value).endswith("; try another --out")
    assert set(pd.read_csv(out / "predictions.csv")["file"]) == {"a.avi", "b.avi"}
    assert list((out / "b").glob("overlay.*")) and (out / "b" / "timeline.png").exists()
    assert not list((out / "a").glob(".overlay*")) and 'src="b/overlay' in (out / "index.html").read_text()


def test_a_name_at_which_opencv_would_crash_spoils_no_other_recording(run: Path, tmp_path: Path) -> None:  # noqa: F811
    frames, out = tmp_path / os.fsdecode(b"a\xff"), tmp_path / "out"
    frames.mkdir()
    for number, picture in enumerate(scenes.walk(4)):
        (frames / f"{number}.png").write_bytes(cv2.imencode(".png", picture[..., ::-1])[1])
    sources = [str(frames), str(video(tmp_path / "b.avi", scenes.walk(4)))]
    with pytest.raises(InputError, match="OpenCV writes no overlay into"):
        video_report.run(sources, Weights.load(run), Options(), out, lambda value: None)
    assert "b.avi" in set(pd.read_csv(out / "predictions.csv")["file"])


def test_a_timeline_that_cannot_be_written_spoils_no_other_recording(run: Path, tmp_path: Path) -> None:  # noqa: F811
    sources, out = [str(video(tmp_path / name, scenes.walk(4))) for name in ("a.avi", "b.avi")], tmp_path / "out"
    (out / "a" / "timeline.png" / "kept").mkdir(parents=True)
    with pytest.raises(InputError, match=r"timeline\.png cannot be written"):
        video_report.run(sources, Weights.load(run), Options(), out, lambda value: None)
    assert set(pd.read_csv(out / "predictions.csv")["file"]) == {"a.avi", "b.avi"}
    assert (out / "b" / "timeline.png").exists() and 'src="b/overlay' in (out / "index.html").read_text()


def test_an_overlay_shows_images_of_every_size(run: Path, tmp_path: Path) -> None:  # noqa: F811
    for number, picture in enumerate(scenes.walk(8)):
        shown = cv2.resize(picture, [(640, 480), (320, 240), (1280, 960), (300, 900)][number // 2])
        cv2.imwrite(str(tmp_path / f"{number}.png"), shown[..., ::-1])
    out = tmp_path / "out"
    video_report.run([str(tmp_path)], Weights.load(run), Options(frame_rate=10.0), out, lambda value: None)
    frames = frames_of(next(out.glob("overlay.*")))
    assert len(frames) == 8
    reached = [np.argwhere(np.ptp(frame[:480, :640], axis=2) > 60).max(axis=0) + 1 for frame in frames]
    expected = [(480, 640), (240, 320), (480, 640), (480, 160)]
    assert np.abs(np.subtract(reached, np.repeat(expected, 2, axis=0))).max() < 20, "each as large as fits"


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
def test_a_box_is_drawn_round_its_face_in_images_of_every_size(run: Path, tmp_path: Path, scale: float) -> None:  # noqa: F811
    weights = Weights.load(run)
    with overlay.Overlay(tmp_path, weights) as written:
        for number, size in enumerate((1.0, scale)):
            picture = np.full((round(480 * size), round(640 * size), 3), 60, np.uint8)
            box = Box(320 * size, 240 * size, 200 * size)
            face = Face(box, np.zeros((0, 2), np.float32), 1.0, 1.0, 1)
            written.add(Step(TimedFrame(number, number / 10, picture), 0.2, {1: face}, [], number + 1), [])
        written.add(Step(None, 0.2, {}, [], 2), [])
    _, frame = frames_of(next(tmp_path.glob("overlay.*")))
    marked = np.argwhere(frame[:480, :640, 1].astype(int) - frame[:480, :640, 2] > 60)
    shown = min(scale, 1.0)
    drawn = [*marked.min(axis=0), *marked.max(axis=0)]
    assert drawn == pytest.approx(np.multiply(shown, [140, 220, 340, 420]), abs=4)


def test_a_timeline_of_many_people_draws_some_and_lists_all(run: Path) -> None:  # noqa: F811
    weights = Weights.load(run)
    recording = own_video.Recording("own.avi", "video", iter(()), 0, seconds=2.0)
    p = {f"p_{name}": 1 / len(weights.classes) for name in weights.classes}
    rows = [{"person": n, "start": 0.0, "end": 1.0, "label": weights.classes[0], **p} for n in range(1, 31)]
    figure, numbers = video_report.timeline(recording, rows, weights)
    assert set(numbers["person"]) == set(range(1, 31))
    assert "20 of 30 people with the most windows" in figure.get_suptitle().replace("\n", " ")


def test_no_person_in_any_input_is_told_apart(run: Path, tmp_path: Path) -> None:  # noqa: F811
    source = str(video(tmp_path / "coffee.avi", [scenes.COFFEE] * 5))
    told: list[dict] = []
    assert not video_report.run([source], Weights.load(run), Options(), tmp_path / "out", told.append)
    assert [value.get("reason") for value in told] == ["no face found", None]
    assert told[-1]["nobody"] == "no face of 80 pixels or more was found for as long as a window"


def test_a_person_who_is_not_seen_is_told_from_a_recording_without_a_face(run: Path, tmp_path: Path) -> None:  # noqa: F811
    source, out = str(video(tmp_path / "own.avi", scenes.walk(5))), tmp_path / "out"
    assert not video_report.run([source], Weights.load(run), Options(person="3"), out, lambda value: None)
    (summary,) = json.loads((out / "summary.json").read_text())["recordings"]
    assert (
        summary["nobody"].endswith("numbers of those who were: 1")
        and summary["nobody"] in (out / "index.html").read_text()
    )


def test_the_timeline_of_a_single_image_is_drawn_without_a_warning(run: Path, tmp_path: Path) -> None:  # noqa: F811
    cv2.imwrite(str(tmp_path / "face.png"), scenes.head(300, 220)[..., ::-1])
    assert video_report.run([str(tmp_path / "face.png")], Weights.load(run), Options(), tmp_path / "out", print)
    assert "A single image" in (tmp_path / "out" / "index.html").read_text()


def test_a_name_that_the_figures_font_lacks_is_drawn_without_a_warning(run: Path, tmp_path: Path) -> None:  # noqa: F811
    source = video(tmp_path / "own.avi", scenes.walk(4)).rename(tmp_path / "笑顔 ß.avi")
    shutil.copytree(run, tmp_path / "重み")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video_report.run([str(source)], Weights.load(tmp_path / "重み"), Options(), tmp_path / "out", print)
    drawn = (tmp_path / "out" / "timeline.svg").read_text()
    assert "?? ß.avi: predicted expressions" in drawn and "Weights: ??, trained on MMI" in drawn
    assert "笑顔 ß.avi" in (tmp_path / "out" / "index.html").read_text()


def test_what_an_earlier_prediction_left_is_removed_and_nothing_else(run: Path, tmp_path: Path) -> None:  # noqa: F811
    sources = [str(video(tmp_path / name, scenes.walk(4))) for name in ("a.avi", "b.avi", "c.avi")]
    weights, out = Weights.load(run), tmp_path / "out"

    def predict(*sources: str) -> set[str]:
        video_report.check_folder(out, sources)
        video_report.run(list(sources), weights, Options(), out, lambda value: None)
        left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
        assert left - set(video_report.written(out)) == {"notes.txt", "b/notes.txt"}
        return left

    for name in ("notes.txt", "b/notes.txt"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    assert predict(*sources) >= {"a/timeline.png", "b/timeline.png", "c/timeline.svg", "index.html"}
    assert not {"a/timeline.png", "timeline.png"} & predict(*sources[1:])
    assert not (out / "a").exists()
    assert {"timeline.png", "index.html"} <= predict(sources[0])
    assert {path.name for path in out.iterdir() if path.is_dir()} == {"b"}
    (out / "overlay.mp4").write_text("of another OpenCV, by a version that kept no list")
    summary = json.loads((out / "summary.json").read_text())
    del summary["written"]
    (out / "summary.json").write_text(json.dumps(summary))
    assert len({name for name in predict(sources[0]) if name.startswith("overlay")}) == 1


@pytest.mark.parametrize("name", ["../mine/timeline.png", "/mine/timeline.png", "a/b/timeline.png", "notes.txt", ""])
def test_a_summary_of_elsewhere_removes_no_other_files(name: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"recordings": [], "written": [name, "timeline.png", 3]}))
    assert video_report.written(tmp_path) == ["timeline.png"]


def test_an_overlay_that_a_full_disk_cuts_off_is_not_kept(
    run: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source, out = str(video(tmp_path / "own.avi", scenes.walk(30))), tmp_path / "out"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"full disk: .*overlay\.(mp4|webm) was not written; try freeing space"):
            video_report.run([source], Weights.load(run), Options(), out, lambda value: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path.name for path in out.iterdir() if "overlay" in path.name]
    assert "FFmpeg" not in capfd.readouterr().err


def test_an_overlay_whose_header_alone_is_whole_is_not_kept(tmp_path: Path) -> None:
    noise = cv2.blur(np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8), (5, 5))

    def write() -> Path:
        written = overlay._Video(tmp_path, 15.0)
        for number in range(60):
            written.write(number / 15, np.roll(noise, 5 * number, axis=1))
        written.close(keep=True)
        return written.path

    limits, whole = resource.getrlimit(resource.RLIMIT_FSIZE), write()
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole.stat().st_size - 10_000, limits[1]))
    whole.unlink()
    try:
        with pytest.raises(InputError, match="full disk"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_overlay_leaves_nothing_half_written(run: Path, tmp_path: Path) -> None:  # noqa: F811
    source = str(video(tmp_path / "own.avi", scenes.walk(40)))

    def stop(value: dict) -> None:
        if value.get("first_frame") == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        video_report.run([source], Weights.load(run), Options(), tmp_path / "out", stop)
    out = tmp_path / "out"
    assert [path.name for path in out.iterdir()] == [".prediction.part"], "nothing that could be taken for a result"


def test_where_a_prediction_was_stopped_the_same_one_goes_on(
    run: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, out = str(video(tmp_path / "own.avi", scenes.walk(12))), tmp_path / "out"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(video_report, "timeline", stop)
        video_report.run([source], Weights.load(run), Options(), out, lambda value: None)
    assert list(out.glob("overlay.*")), "it was stopped behind the overlay"
    video_report.check_folder(out, [source])
    video_report.run([source], Weights.load(run), Options(), out, lambda value: None)
    assert not (out / ".prediction.part").exists() and (out / "summary.json").exists()


def test_a_prediction_for_several_does_not_replace_that_of_one_in_the_same_place(run: Path, tmp_path: Path) -> None:  # noqa: F811
    sources = [str(video(tmp_path / name, scenes.walk(4))) for name in ("a.avi", "b.avi")]
    video_report.run(sources[:1], Weights.load(run), Options(), tmp_path / "out" / "a", lambda value: None)
    with pytest.raises(InputError, match=r"out/a holds .*: expected .*an earlier prediction"):
        video_report.check_folder(tmp_path / "out", sources)
    video_report.run(sources, Weights.load(run), Options(), tmp_path / "both", lambda value: None)
    video_report.check_folder(tmp_path / "both", sources)


def test_the_overlay_of_a_chosen_person_shows_him_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    shown: list[set[int]] = []
    monkeypatch.setattr(overlay._Video, "write", lambda *_: None)
    monkeypatch.setattr(overlay, "_draw_faces", lambda _picture, people, _scale: shown.append(set(people)))
    face = Face(Box(30, 30, 20), np.zeros((66, 2), np.float32), 1.0, 2, 1.0)
    frame = TimedFrame(0, 0.0, np.zeros((60, 60, 3), np.uint8))
    for person in ("all", "2"):
        drawn = overlay.Overlay(Path(), Weights.load(run), person)
        drawn.add(Step(frame, 0.0, {1: face, 2: face}, [], 1), [])
        drawn.add(Step(None, 0.0, {}, [], 1), [])
    assert shown == [{1, 2}, {2}]
