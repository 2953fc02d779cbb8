"""Frames of folders and videos: what is decoded, and what is refused before it is."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from trees import write_image, write_text, write_video

from fer3d.data import video
from fer3d.data.file_kinds import VIDEO_SUFFIXES, VideoError
from fer3d.data.video import Flaw, TimedFrame, View, check_video, read_frames, read_timed, upright


def test_video_counts_what_decodes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", frames=12)
    frames = list(read_frames(path))
    assert len(frames) == 12 and frames[0].shape == (48, 64, 3)
    assert np.diff([frame.mean() for frame in frames]).min() > 5
    for start in (0, 5, 11):
        assert np.array_equal(list(read_frames(path, start=start)), frames[start:])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 4 // 5])
    assert 0 < sum(1 for _ in read_frames(path)) < 12


def test_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def reason(path: Path, images: bool = True) -> str:
        with pytest.raises(VideoError) as refused:
            list(read_frames(path.parent, [path]) if images else read_frames(path))
        return str(refused.value)

    assert "No such file" in reason(tmp_path / "no.png")
    assert "zero bytes" in reason(write_text(tmp_path / "zero.png", ""))
    assert "a text file, not a readable image" in reason(write_text(tmp_path / "text.png", "text"))
    assert reason(write_text(tmp_path / "cut.jpg", b"\xff\xd8\xff")) == "cut.jpg: not a readable image"
    Image.new("L", (9, 9)).save(tmp_path / "a.webp")
    assert "a WebP picture, not" in reason((tmp_path / "a.webp").rename(tmp_path / "webp.png"))
    pointer = write_text(tmp_path / "lfs.png", "version https://git-lfs.github.com/spec/v1\n")
    assert "a pointer of git LFS, not a readable image" in reason(pointer)
    Image.new("1", (5000, 5000)).save(tmp_path / "large.png")
    assert "claims 5000 x 5000" in reason(tmp_path / "large.png")
    cut = write_image(tmp_path / "cut.png", (100, 100))
    cut.write_bytes(cut.read_bytes()[:5000])
    assert "broken image" in reason(cut)
    assert "not a file" in reason(tmp_path)

    assert "No such file" in reason(tmp_path / "no.avi", images=False)
    assert "zero bytes" in reason(write_text(tmp_path / "zero.avi", ""), images=False)
    assert "not one frame" in reason(write_text(tmp_path / "b.avi", b"RIFF\0\0\0\0AVI " + b"x" * 99), images=False)
    assert "no images" in reason(tmp_path, images=False)
    assert capfd.readouterr() == ("", "")


WRITTEN = {
    ".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".webm": "VP80", ".flv": "FLV1", ".mpg": "PIM1",
    ".ts": "mpg2", ".mts": "mpg2", ".wmv": "WMV2", ".mxf": "mpg2", ".nut": "FFV1", ".ivf": "VP80",
}  # fmt: skip


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_container_that_opencv_writes_is_read(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", frames=12, codec=WRITTEN[suffix])
    if not path.exists():
        pytest.skip("this OpenCV does not write it")
    frames = list(read_timed(path))
    assert [frame.number for frame in frames if isinstance(frame, TimedFrame)] == list(range(12))
    times = [frame.seconds for frame in frames if isinstance(frame, TimedFrame)]
    assert times == pytest.approx(np.arange(12) / 25, abs=2e-3)
    facts = check_video(path)
    assert (facts.height, facts.width, facts.flaw) == (48, 64, "") and suffix in VIDEO_SUFFIXES


def test_an_animation_is_a_video(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((48, 64, 3), 20 * number, np.uint8)) for number in range(6)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    assert len(list(read_frames(tmp_path / "a.gif"))) == 6


def y4m(path: Path, frames: int = 4, aspect: str = "1:1", rate: str = "25:1") -> Path:
    """An uncompressed video of 64 x 48 pixels of that aspect ratio."""
    header = f"YUV4MPEG2 W64 H48 F{rate} Ip A{aspect} C420jpeg\n".encode()
    path.write_bytes(header + frames * (b"FRAME\n" + bytes(range(64)) * 48 + bytes([128]) * (64 * 48 // 2)))
    return path


@pytest.mark.parametrize(("aspect", "shape"), [("4:3", (48, 85)), ("3:4", (64, 64)), ("0:0", (48, 64))])
def test_pixels_are_made_square(tmp_path: Path, aspect: str, shape: tuple[int, int]) -> None:
    path = y4m(tmp_path / "a.y4m", aspect=aspect)
    frame = next(read_frames(path))
    assert frame.shape[:2] == shape == check_video(path)[:2]
    assert (np.diff(frame[20, :, 0].astype(int)) >= 0).all(), "it is stretched, not cut"


def test_the_rotation_of_a_phone_is_honoured(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=5, codec="mp4v")
    identity, quarter = (np.array(m, ">i4").tobytes() for m in ([65536, 0, 0, 0, 65536], [0, 65536, 0, -65536, 0]))
    content = path.read_bytes()
    at = content.index(identity, content.index(b"tkhd"))
    path.write_bytes(content[:at] + quarter + content[at + len(quarter) :])
    assert next(read_frames(path)).shape == (64, 48, 3) and check_video(path)[:2] == (64, 48)


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    path = y4m(tmp_path / "a.y4m", frames=6, rate="10:1")
    assert [frame.seconds for frame in read_timed(path)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])  # type: ignore[union-attr]
    image = write_image(tmp_path / "a.png")
    assert [frame.seconds for frame in read_timed(tmp_path, [image] * 3, frame_rate=4)] == [0, 0.25, 0.5]  # type: ignore[union-attr]
    assert np.isnan(next(read_timed(tmp_path, [image])).seconds)  # type: ignore[union-attr]


def noisy(path: Path, frames: int, codec: str) -> Path:
    """A video whose frames are far larger than its header and index."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (160, 120))
    for picture in np.random.default_rng(0).integers(0, 255, (frames, 120, 160, 3), np.uint8):
        writer.write(picture)
    writer.release()
    return path


def spoilt(path: Path, start: float, end: float) -> Path:
    """The file with zeros between two shares of its length."""
    content = bytearray(path.read_bytes())
    first, last = int(start * len(content)), int(end * len(content))
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    return path


def test_behind_a_hole_reading_goes_on(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.webm", 60, "VP80")
    if not path.exists():
        pytest.skip("this OpenCV does not write it")
    items = list(read_timed(spoilt(path, 0.4, 0.5)))
    flaws = [item for item in items if isinstance(item, Flaw)]
    numbers = [item.number for item in items if isinstance(item, TimedFrame)]
    assert flaws and all("the file has a hole" in flaw.why for flaw in flaws)
    assert numbers[0] == 0 and numbers[-1] == 59 and len(numbers) < 60
    assert {flaw.first_frame for flaw in flaws} == {n + 1 for n in numbers[:-1] if n + 1 not in numbers}
    times = [item.seconds for item in items if isinstance(item, TimedFrame)]
    assert times == pytest.approx(np.array(numbers) / 25, abs=2e-3)


def varied(path: Path, intervals: list[tuple[int, int]]) -> Path:
    """An MP4 video with so many intervals of so many 1/25 s each, in this order."""
    content = bytearray(write_video(path, frames=sum(count for count, _ in intervals), codec="mp4v").read_bytes())
    at = content.index(b"stts")
    (delta,) = np.frombuffer(content[at + 16 : at + 20], ">u4")
    entries = np.array([(count, length * delta) for count, length in intervals], ">u4").tobytes()
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        start = content.index(name) - 4
        size = int.from_bytes(content[start : start + 4], "big") + len(entries) - 8
        content[start : start + 4] = size.to_bytes(4, "big")
    content[at + 8 : at + 20] = len(intervals).to_bytes(4, "big") + entries
    path.write_bytes(content.replace(b"edts", b"free"))  # its edit list would end it at the former length
    return path


@pytest.mark.parametrize("intervals", [[(30, 6), (42, 1)], [(1, 8), (71, 1)], [(42, 1), (30, 6)]])
def test_a_sound_video_of_variable_frame_rate_has_no_hole(tmp_path: Path, intervals: list[tuple[int, int]]) -> None:
    items = list(read_timed(varied(tmp_path / "a.mp4", intervals)))
    assert [item.number for item in items if isinstance(item, TimedFrame)] == list(range(72)) and len(items) == 72
    lengths = [length for count, length in intervals for _ in range(count)]
    assert [item.seconds for item in items] == pytest.approx(np.cumsum([0, *lengths[:-1]]) / 25)  # type: ignore[union-attr]


def numbered(lengths: list[int]) -> list[int]:
    """Numbers of frames with such intervals, in 1/30 s."""
    stamps = [*np.cumsum([0, *lengths]) / 30]
    repeated = video._repeated([length - 1 for length in lengths])
    clock = video._Clock(30, 0, lambda: {stamps[at + 1] for at in repeated})
    return [clock.advance(stamp, 0)[0] for stamp in stamps]


@pytest.mark.parametrize(
    "lengths",
    [
        *(30 * [6] + 40 * [1], 40 * [1] + 3 * [5, 1, 6, 1] + 40 * [1], 8 * [1, 1, 2, 1, 1, 1, 1, 3, 1, 1]),
        3 * [1, 1, 1, 2, 1, 1],
    ],
)
def test_long_intervals_that_repeat_are_no_holes(lengths: list[int]) -> None:
    assert numbered(lengths) == list(range(len(lengths) + 1))


@pytest.mark.parametrize(
    "lengths",
    [
        *(
            [1] * 20 + [3] + [1] * 20,
            [1] * 9 + [2, 1, 1, 7] + [1] * 40 + [2] + [1] * 9,
            [1] * 30 + [2, 1] * 4 + [1] * 30,
        ),
        *([1] * 40 + [5, 1, 8, 1] * 3 + [1] * 40, [1] * 9 + [2, 1, 1, 2] + [1] * 7, [1] * 70 + [2, 1, 2, 1, 2]),
    ],
)
def test_a_long_interval_among_regular_ones_is_a_hole(lengths: list[int]) -> None:
    assert numbered(lengths) == [0, *np.cumsum(lengths)]


def test_an_estimate_of_frames_counts_those_that_were_never_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", codec="mp4v")
    assert video._shortfall(path, 56, 73, 70) == "" and video._shortfall(path, 56, 73, 55) != ""
    assert video._shortfall(path, 10, 3000, 2700) == "", "the last picture of a screen stands still"
    assert video._shortfall(path, 40, 2401, 1302) == "frame 40 of 72: the file breaks off", "the rate is a clock's"
    assert video._shortfall(path, 1, 2, 0) == video._shortfall(path, 72, 73, np.nan) == ""


def without(path: Path, *numbers: int) -> Path:
    """A Matroska video of 100 frames without these."""
    content = bytearray(write_video(path, frames=100, codec="MJPG").read_bytes())
    blocks = [found.start() for found in re.finditer(rb"\xa3[^\x81]{1,8}\x81..\x80\xff\xd8", content, re.DOTALL)]
    for number in numbers:
        content[blocks[number]] = 0xEC  # a part that is passed over
    return write_text(path, bytes(content))


def test_frames_are_counted_where_the_header_estimates_them_from_the_duration(tmp_path: Path) -> None:
    path = without(tmp_path / "a.mkv", *range(1, 50, 2))  # the last frame, to which the estimate leads, is there
    *_, last = read_timed(path)
    assert isinstance(last, TimedFrame) and last.number == 74
    assert check_video(path)[2:] == (100, 75, "", pytest.approx(74 / 3.96))


@pytest.mark.parametrize("duration", [b"\x44\x89", b"\xec\x81"])
def test_a_hole_is_found_beside_intervals_that_repeat(tmp_path: Path, duration: bytes) -> None:
    path = without(tmp_path / "a.mkv", *range(3, 60, 4), *range(80, 90))
    content = path.read_bytes()
    at = content.index(b"\x44\x89\x88")
    items = list(read_timed(write_text(path, content[:at] + duration.ljust(2) + content[at + 2 :])))
    assert [item.first_frame for item in items if isinstance(item, Flaw)] == [65]
    assert [item.number for item in items if isinstance(item, TimedFrame)] == [*range(65), *range(75, 85)]


@pytest.mark.parametrize(("claimed", "holes"), [(424, 6), (422, 6), (421, 0)])
def test_intervals_that_show_just_what_is_missing_are_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claimed: int, holes: int
) -> None:
    path = varied(tmp_path / "a.mp4", [(400, 1), *[(1, 2), (2, 1)] * 6])  # 418 frames
    monkeypatch.setattr(video, "_count", lambda *_: claimed)
    found = [item for item in read_timed(path) if isinstance(item, Flaw) and "hole" in item.why]
    assert len(found) == holes


def test_frames_behind_a_damaged_first_one_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, grabbed, fails = write_video(tmp_path / "a.avi", frames=12), video._grabbed, iter([False])
    monkeypatch.setattr(video, "_grabbed", lambda *args: next(fails, True) and grabbed(*args))
    assert check_video(path).decodable == 12


@pytest.mark.parametrize(
    ("length", "long", "whole"),
    [(1, 2**64 - 1, False), (1, 2**63 - 1, False), (1, 7, False), (1, 16, True), (0, 0, True), (2**32 - 1, 0, False)],
)
def test_a_box_of_any_length_at_the_end(tmp_path: Path, length: int, long: int, whole: bool) -> None:
    box = length.to_bytes(4, "big") + b"free" + long.to_bytes(8, "big")
    path = write_video(tmp_path / "a.mp4", frames=12, codec="mp4v")
    path.write_bytes(path.read_bytes() + box)
    assert len(list(read_timed(path))) == 12 and video._is_whole(path) == whole


def test_a_hole_in_a_file_without_time_stamps_is_said(tmp_path: Path) -> None:
    path = spoilt(noisy(tmp_path / "a.avi", 24, "MJPG"), 0.4, 0.5)
    *frames, flaw = read_timed(path)
    assert isinstance(flaw, Flaw) and 18 < len(frames) < 24
    assert flaw.why == f"{len(frames)} of 24 frames decode: the others are lost or cut out, it is not known which"
    assert flaw.first_frame is None and check_video(path).claimed_frames == 24


def test_frames_are_counted_where_the_header_has_no_count(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=12, codec="mp4v")
    at = (content := path.read_bytes()).index(b"\x44\x89\x88")  # the duration, which browsers leave out
    path.write_bytes(content[:at] + b"\xec\x89" + content[at + 2 :])
    assert check_video(path)[2:] == (0, 12, "", 25)


def test_a_rate_that_is_a_clock_s_is_measured(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mkv", frames=60, codec="mp4v").read_bytes()
    at = content.index(b"\x23\xe3\x83\x84") + 4  # the nanoseconds of a frame
    path = write_text(tmp_path / "b.mkv", content[:at] + (10**6).to_bytes(4, "big") + content[at + 4 :])
    assert check_video(path)[2:] == (2400, 60, "", pytest.approx(25))


@pytest.mark.parametrize("count", [2**30, 0])
def test_an_avi_from_a_pipe_does_not_break_off(tmp_path: Path, count: int) -> None:
    path = write_video(tmp_path / "a.avi", frames=12)
    content = bytearray(path.read_bytes())
    for at in (content.index(b"avih") + 24, content.index(b"strh") + 40):
        content[at : at + 4] = count.to_bytes(4, "little")
    path.write_bytes(content)
    assert ("12 of 200001 frames decode" in check_video(path).flaw) == (count > 0), "its length is known"
    content[4:8] = b"\xff" * 4  # as FFmpeg writes it
    path.write_bytes(content)
    assert check_video(path)[3:] == (12, "", pytest.approx(25)) and len(list(read_timed(path))) == 12


def test_what_an_edit_list_cuts_out_is_not_called_broken_off(tmp_path: Path) -> None:
    content = bytearray(write_video(tmp_path / "a.mp4", frames=60, codec="mp4v").read_bytes())
    at = content.index(b"elst") + 12
    (length,) = np.frombuffer(content[at : at + 4], ">u4")
    content[at : at + 4] = int(length // 2).to_bytes(4, "big")
    path = write_text(tmp_path / "b.mp4", bytes(content))
    *frames, flaw = read_timed(path)
    why = "30 of 60 frames decode: the others are lost or cut out, it is not known which"
    assert len(frames) == 30 and flaw == Flaw(None, why) and check_video(path)[2:] == (60, 30, why, 25)
    write_text(path, bytes(content[:-1]))
    assert list(read_timed(path))[-1] == Flaw(30, "frame 30 of 60: the file breaks off")


def test_the_frames_of_an_mp4_in_fragments_are_an_estimate(tmp_path: Path) -> None:
    boxes = {b"ftyp": b"isom\0\0\0\0isom", b"moov": b"\0\0\0\x08mvex", b"moof": b"", b"mdat": bytes(99)}
    content = b"".join((8 + len(body)).to_bytes(4, "big") + name + body for name, body in boxes.items())
    path = write_text(tmp_path / "a.mp4", content)
    assert video._shortfall(path, 72, 75, 71) == "" and "60 of 75" in video._shortfall(path, 60, 75, 59)
    write_text(path, content.replace(b"moof", b"free"))
    assert "72 of 75" in video._shortfall(path, 72, 75, 71)


@pytest.mark.parametrize("codec", ["mp4v", "MJPG"])
def test_damage_that_a_decoder_conceals_is_in_its_messages(codec: str, tmp_path: Path) -> None:
    """Every frame decodes, so that reading alone notices nothing."""
    sound = noisy(tmp_path / "a.avi", 20, codec)
    with video.listening(sound) as complains:
        assert not complains()
    content = bytearray(sound.read_bytes())
    for start in range(len(content) // 3, 2 * len(content) // 3, len(content) // 12):
        content[start : start + 40] = np.random.default_rng(start).bytes(40)
    damaged = write_text(tmp_path / "b.avi", bytes(content))
    assert len(list(read_frames(damaged))) == 20
    with video.listening(damaged) as complains:
        assert complains()


def test_where_a_file_breaks_off_is_said(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.avi", 20, "MJPG")
    assert check_video(path).flaw == "" and not any(isinstance(item, Flaw) for item in read_timed(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    *frames, flaw = read_timed(path)
    assert 8 < len(frames) < 18
    assert flaw == Flaw(len(frames), f"frame {len(frames)} of 20: the file breaks off")
    assert check_video(path).flaw == flaw.why and check_video(path).decodable == len(frames)


REFUSED = {
    b".RMF\0\0\0\x12": ("a RealMedia video", "ffmpeg -i 'a b.x' -c:v libx264 -pix_fmt yuv420p 'a b.mp4'"),
    b"\0\xff\1\2": ("a file of an unknown kind", "ffmpeg -i"),
    b"PK\3\4": ("a ZIP archive", "another file"),
    b"#EXTM3U\nfile:///etc/hostname\n": ("a playlist", "another file"),
    b"version https://git-lfs.github.com/spec/v1\n": ("a pointer of git LFS", "git lfs pull"),
    b"\x89PNG\r\n": ("a PNG picture", "another file"),
    b"ffconcat version 1.0\n": ("a text file", "another file"),
}


@pytest.mark.parametrize("content", REFUSED)
def test_what_is_no_video_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(VideoError) as refused:
        check_video(write_text(tmp_path / "a b.x", content))
    name, remedy = REFUSED[content]
    assert refused.value.why == f"{name}, not a video that is read" and refused.value.remedy.startswith(remedy)


def test_video_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", frames=5)
    monkeypatch.setattr(video, "MAX_FRAMES", 4)
    with pytest.raises(VideoError, match="more than 4 frames"):
        list(read_frames(path))
    monkeypatch.setattr(video, "MAX_PIXELS", 100)
    with pytest.raises(VideoError, match="claims 3072 pixels"):
        list(read_frames(path))


def test_a_long_search_is_given_up_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", frames=5)
    os.truncate(path, 2**30)  # zeros, sparse on the disk: FFmpeg looks through all of them for a next frame
    monkeypatch.setattr(video, "STALL_SECONDS", 0.1)
    with pytest.raises(VideoError, match=r"no frame within 0\.1 s"):
        list(read_frames(path))


def test_a_name_with_a_pattern_is_one_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", frames=4).rename(tmp_path / "a_%02d.avi")
    assert len(list(read_frames(path))) == 4


def test_messages_fit_one_line(tmp_path: Path) -> None:
    with pytest.raises(VideoError) as refused:
        list(read_frames(write_text(tmp_path / "a\n\x1b[1m.avi", "")))
    assert str(refused.value) == "a??[1m.avi: zero bytes"


def test_a_file_is_looked_at_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", frames=12)
    looks, reaches_end = [], video._reaches_end
    monkeypatch.setattr(video, "_reaches_end", lambda *at: looks.append(at) or reaches_end(*at))
    assert check_video(path) == check_video(path) and len(looks) == 1
    before = path.stat()
    write_video(path, frames=7)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert check_video(path).decodable == 7 and len(looks) == 2
    path.unlink()
    with pytest.raises(VideoError):
        check_video(path)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(), lambda a: a),
        (View(90), lambda a: a[::-1].transpose(1, 0, 2)),
        (View(180), lambda a: a[::-1, ::-1]),
        (View(270), lambda a: a.transpose(1, 0, 2)[::-1]),
        (View(0, "left"), lambda a: a[:, :3]),
        (View(90, "right"), lambda a: a[::-1, 3:].transpose(1, 0, 2)),
    ],
)
def test_upright(view: View, expected: Callable[[np.ndarray], np.ndarray]) -> None:
    frame = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    turned = upright(frame, view)
    assert (turned == expected(frame)).all() and turned.flags.c_contiguous


def test_a_name_that_is_not_utf8_is_refused_before_opencv_crashes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xe9.avi")
    write_video(tmp_path / "good.avi").rename(path)
    with pytest.raises(VideoError, match="not UTF-8"):
        list(read_frames(path))


def test_a_conversion_has_another_name_than_what_it_converts(tmp_path: Path) -> None:
    for name, made in (("a.mp4", "a_converted.mp4"), ("a.MP4", "a_converted.mp4"), ("a.mkv", "a.mp4")):
        with pytest.raises(VideoError) as refused:
            check_video(write_text(tmp_path / name, b"\0\xff\1\2"))
        assert refused.value.remedy.endswith(f"ffmpeg -i {name} -c:v libx264 -pix_fmt yuv420p {made}")
