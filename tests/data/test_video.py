"""Frames of folders and videos: what is decoded, and what is refused before it is."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import write_image, write_text, write_video

from fer3d.data import video
from fer3d.data.video import VideoError, View, read_frames, upright


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "I;16"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.linspace(0, 255, 12 * 16).astype(np.uint8).reshape(12, 16)
    image = Image.fromarray(grey.astype(np.uint16) * 256) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "a.png")
    (frame,) = read_frames(tmp_path, [tmp_path / "a.png"])
    assert (frame.shape, frame.dtype, frame.flags.c_contiguous) == ((12, 16, 3), np.uint8, True)
    assert (frame[..., 0] == frame[..., 1]).all() and (frame[..., 0] == frame[..., 2]).all()
    if mode != "1":
        assert np.abs(frame[..., 0].astype(int) - grey).max() <= 1


def test_colour_order(tmp_path: Path) -> None:
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 200
    Image.fromarray(red).save(tmp_path / "red.png")
    assert (next(read_frames(tmp_path, [tmp_path / "red.png"])) == red).all()


def test_images_come_in_the_order_given_with_their_own_sizes(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{n}.png", (10 + n, 20)) for n in (3, 1, 2)]
    assert [frame.shape[0] for frame in read_frames(tmp_path, paths)] == [13, 11, 12]


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
    assert "not a readable image" in reason(write_text(tmp_path / "text.png", "text"))
    Image.new("1", (5000, 5000)).save(tmp_path / "large.png")
    assert "claims 5000 x 5000" in reason(tmp_path / "large.png")
    cut = write_image(tmp_path / "cut.png", (100, 100))
    cut.write_bytes(cut.read_bytes()[:5000])
    assert "broken image" in reason(cut)
    assert "not a file" in reason(tmp_path)

    assert "No such file" in reason(tmp_path / "no.avi", images=False)
    assert "zero bytes" in reason(write_text(tmp_path / "zero.avi", ""), images=False)
    assert "not a video" in reason(write_text(tmp_path / "list.avi", "#EXTM3U\nfile:///etc/hostname\n"), images=False)
    assert "not one frame" in reason(write_text(tmp_path / "b.avi", b"RIFF\0\0\0\0AVI " + b"x" * 99), images=False)
    assert "no images" in reason(tmp_path, images=False)
    assert capfd.readouterr() == ("", "")


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
