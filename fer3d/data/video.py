"""Frames of an image folder or a video file, in one sequential pass.

Input of Figure 1 of the paper. What a file's header says is never trusted: only frames that
decode count, and a file whose header exceeds the bounds below is refused before it is decoded.
"""

import contextlib
import os
import stat
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

# Read by OpenCV when a video is opened: nothing printed on stderr, no address of a disguised
# playlist followed, no frame allocated beyond the bound.
MAX_PIXELS = 2**24
"""Pixels in one frame (4096 x 4096)."""
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"protocol_whitelist;file|max_pixels;{MAX_PIXELS}"

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_FRAMES = 200_000
"""Frames in one video (over two hours)."""
MAX_IMAGE_BYTES = 2**27
"""Size of one image file."""

STALL_SECONDS = 1.0
"""Longest search for the next frame of a video."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".flv", ".mpg", ".mpeg"})

_IMAGE_FORMATS = ("PNG", "JPEG", "BMP")
_VIDEO_SIGNATURES = (
    (0, b"RIFF"),  # avi
    (4, b"ftyp"),  # mp4, mov
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
    (0, b"\x1aE\xdf\xa3"),  # mkv, webm
    (0, b"FLV"),
    (0, b"\x00\x00\x01\xba"),  # mpg
    (0, b"\x00\x00\x01\xb3"),
)
"""The signature of each container and its offset. FFmpeg would also open playlists and scripts."""
_NO_FRAME = "not one frame can be decoded"


@dataclass(frozen=True)
class View:
    """How a stored frame becomes an upright picture of one face: first the half is cut out, then it is rotated."""

    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise."""
    half: Literal["left", "right"] | None = None
    """The half to keep of a frame that shows two views side by side, one of them through a mirror (MMI)."""


class VideoFacts(NamedTuple):
    """What the header of a video says."""

    height: int
    width: int
    claimed_frames: int
    """Often wrong."""
    frame_rate: float
    """Frames per second; 0 where it is not known."""


class UnusableFile(Exception):
    """A recording or a file that cannot be used: ``why``, which ``file`` is at fault, and what would help."""

    def __init__(self, why: str, file: str = "", remedy: str = "a new copy of the file") -> None:
        super().__init__(printable(why), printable(file), remedy)
        self.why, self.file, self.remedy = self.args

    def __str__(self) -> str:
        return f"{self.file}: {self.why}" if self.file else self.why


class VideoError(UnusableFile):
    """An image or a video that cannot be used."""


def printable(text: str) -> str:
    """The text on one line; a character that a terminal or UTF-8 cannot print becomes ``?``."""
    return "".join(character if character.isprintable() else "?" for character in text)


def read_frames(source: Path, images: Sequence[Path] = (), start: int = 0) -> Iterator[np.ndarray]:
    """The frames in order, each (H, W, 3) uint8 RGB; grey is repeated, 16 bits are cut to 8, alpha is dropped.

    Args:
        source: a video file, or the folder of ``images``.
        images: the files of an image sequence, in the order to read them; their sizes may differ.
        start: number of the first frame to read, from 0. In a video it is looked up in the file's index,
            which may be wrong.

    Raises:
        VideoError: no frame at all, or an image that cannot be read. A truncated video ends where it breaks off.
    """
    if images:
        yield from map(read_image, images[start:])
    elif source.is_dir():
        raise VideoError("no images", source.name)
    else:
        with _opened(source) as capture:
            if start:
                capture.set(cv2.CAP_PROP_POS_FRAMES, start)
            yield from _decoded(source, capture)


def count_frames(source: Path, images: Sequence[Path] = ()) -> int:
    """The number of frames that `read_frames` gives, by going through them; raises `VideoError`."""
    if images:
        return len(images)
    with _opened(source) as capture:
        count = 0
        while count <= MAX_FRAMES and _grabbed(source, capture):
            count += 1
        return count


def upright(frame: np.ndarray, view: View) -> np.ndarray:
    """The half of the frame (H, W, C) that the view names, rotated; contiguous."""
    middle = frame.shape[1] // 2
    if view.half is not None:
        frame = frame[:, :middle] if view.half == "left" else frame[:, middle:]
    return np.ascontiguousarray(np.rot90(frame, -(view.rotation // 90)))


def check_image(path: Path) -> None:
    """Raise `VideoError` for an image whose size or header shows that it cannot be used."""
    _open_image(path).close()


def check_video(path: Path) -> VideoFacts:
    """Decode only the first frame; raises `VideoError` when there is none."""
    with _opened(path) as capture:
        height, width, claimed = (
            int(capture.get(what))
            for what in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_COUNT)
        )
        if not _grabbed(path, capture):
            raise VideoError(_NO_FRAME, path.name)
        return VideoFacts(height, width, claimed, capture.get(cv2.CAP_PROP_FPS))


def read_image(path: Path) -> np.ndarray:
    """One image as (H, W, 3) uint8 RGB; raises `VideoError`."""
    with _open_image(path) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip instead of scaling
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            return np.array(image.convert("RGB"))
        except Exception as error:  # a decoder may raise anything on a damaged file
            raise VideoError(f"broken image, {_first_line(error)}", path.name) from error


def _open_image(path: Path) -> Image.Image:
    size = _size(path)
    if size > MAX_IMAGE_BYTES:
        raise VideoError(f"{size} bytes; at most {MAX_IMAGE_BYTES}", path.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(path, formats=_IMAGE_FORMATS)
        except Image.DecompressionBombError as error:  # beyond Pillow's own, larger bound
            raise VideoError(f"claims too many pixels; at most {MAX_PIXELS}", path.name) from error
        except Exception as error:  # a decoder may raise anything on a damaged file
            raise VideoError("not a readable image", path.name) from error
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise VideoError(f"claims {image.width} x {image.height} pixels; at most {MAX_PIXELS}", path.name)
    return image


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    _size(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise VideoError(str(error.strerror), path.name) from error
    if not any(head[at : at + len(signature)] == signature for at, signature in _VIDEO_SIGNATURES):
        raise VideoError("not a video", path.name)
    name = str(path.resolve())
    try:
        name.encode()
    except UnicodeEncodeError as error:  # OpenCV would crash
        raise VideoError("a path that is not UTF-8", ascii(path.name)) from error
    options = {
        cv2.CAP_PROP_N_THREADS: 1,
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: int(1000 * STALL_SECONDS),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: int(1000 * STALL_SECONDS),
    }
    capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [part for pair in options.items() for part in pair])
    try:
        claimed = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if claimed > MAX_PIXELS:
            raise VideoError(f"claims {claimed:.0f} pixels a frame; at most {MAX_PIXELS}", path.name)
        yield capture
    except cv2.error as error:
        raise VideoError(f"broken video, {_first_line(error)}", path.name) from error
    finally:
        capture.release()


def _decoded(path: Path, capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    count = 0
    while _grabbed(path, capture):
        count += 1
        if count > MAX_FRAMES:
            raise VideoError(f"more than {MAX_FRAMES} frames", path.name)
        there, frame = capture.retrieve()
        if not there:
            raise VideoError(f"frame {count} cannot be converted", path.name)
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    if not count:
        raise VideoError(_NO_FRAME, path.name)


def _grabbed(path: Path, capture: cv2.VideoCapture) -> bool:
    """Whether there is a next frame; `VideoError` when the search took too long, which is not the end of the video."""
    start = time.monotonic()
    if capture.grab():
        return True
    if time.monotonic() - start >= STALL_SECONDS:
        raise VideoError(f"no frame within {STALL_SECONDS:g} s; the file is damaged or the disk too slow", path.name)
    return False


def _size(path: Path) -> int:
    """Bytes of a regular file that is not empty; a pipe or a device would never end."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise VideoError(str(getattr(error, "strerror", error)), path.name) from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError("not a file", path.name)
    if not status.st_size:
        raise VideoError("zero bytes", path.name)
    return status.st_size


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
