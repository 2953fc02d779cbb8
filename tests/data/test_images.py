"""Image files: what is decoded, and what is missing of a numbered series."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import write_image

from fer3d.data.file_kinds import VideoError
from fer3d.data.images import missing_images
from fer3d.data.video import Flaw, TimedFrame, read_frames, read_timed


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


def test_the_rotation_of_a_photograph_is_honoured(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = 200
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif, quality=95)
    (frame,) = read_frames(tmp_path, [tmp_path / "a.jpg"])
    assert frame.shape == picture.shape and np.abs(frame.astype(int) - picture).mean() < 3


def test_images_come_in_the_order_given_with_their_own_sizes(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{n}.png", (10 + n, 20)) for n in (3, 1, 2)]
    assert [frame.shape[0] for frame in read_frames(tmp_path, paths)] == [13, 11, 12]


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3, 4, 5, 9, 10, 11, 12], {5: "images 6 to 8 are missing"}),
        ([0, 10, 20, 30, 50, 60], {4: "image 40 is missing"}),
        ([100, 133, 167, 200, 233, 267], {}),  # times, not counted
        ([1, 2, 10, 40], {}),  # chosen images
        ([1, 1, 2, 2, 3, 3], {}),
        ([7], {}),
    ],
)
def test_images_that_are_missing_are_a_hole(numbers: list[int], missing: dict[int, str], tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"s1_{place}_{number:04d}.png") for place, number in enumerate(numbers)]
    items = list(read_timed(tmp_path, paths))
    assert {item.first_frame: item.why for item in items if isinstance(item, Flaw)} == missing
    assert sum(isinstance(item, TimedFrame) for item in items) == len(numbers)
    named = [Path("a.png"), *paths]
    assert missing_images(named) == {}, "not all have a number"


def test_images_that_cannot_be_read_are_a_hole_unless_all_are(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{number}.png") for number in range(5)]
    whole = paths[2].read_bytes()
    for number, content in ((0, b"text"), (2, whole[: len(whole) // 2]), (4, b"")):
        paths[number].write_bytes(content)
    items = list(read_timed(tmp_path, paths, frame_rate=10))
    told = [item.first_frame if isinstance(item, Flaw) else (item.number, item.seconds) for item in items]
    assert told == [0, (1, 0.1), 2, (3, pytest.approx(0.3)), 4]
    with pytest.raises(VideoError, match=r"0\.png: a text file"):
        list(read_timed(tmp_path, paths[::2]))
