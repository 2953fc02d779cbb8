"""Frames of an image folder or a video file, in one sequential pass, each with its time.

Input of Figure 1 of the paper. What a file's header says is never trusted: only frames that
decode count, a time is that of the frame's own time stamp, and a file whose header exceeds the
bounds below is refused before it is decoded. Where frames are lost, in the middle of a file or at
its end, a `Flaw` says so, and reading goes on behind it. Pixels that are not square are made square.
"""

import contextlib
import functools
import itertools
import math
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from fer3d.data.file_kinds import (
    FLASH,
    MAX_PIXELS,
    UNKNOWN,
    VideoError,
    conversion,
    first_line,
    is_video,
    kind_of,
    status_of,
)
from fer3d.data.images import HOLE, missing_images, read_image
from fer3d.errors import printable

# Read by OpenCV when a video is opened: nothing printed on stderr, no playlist or script read and no
# address followed, no frame allocated beyond the bound.
_DEMUXERS = "avi,mov,matroska,flv,mpeg,mpegvideo,mpegts,asf,ogg,gif,mxf,ivf,nut,yuv4mpegpipe"
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(
    f"{name};{value}"
    for name, value in {
        "protocol_whitelist": "file",
        "format_whitelist": _DEMUXERS,
        "max_pixels": MAX_PIXELS,
    }.items()
)

import cv2  # noqa: E402
import numpy as np  # noqa: E402

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_FRAMES = 200_000
"""Frames in one video (over two hours)."""
MAX_FLASH_BYTES = 2**28
"""Size of one Flash video: the decoder searches a damaged one to its end, two seconds a gigabyte."""

STALL_SECONDS = 1.0
"""Longest search for the next frame of a video."""

_EXACT = ("an AVI video", "an MPEG-4 or QuickTime video", "a QuickTime video")
"""Kinds whose header counts the frames; for the others, OpenCV estimates them from the duration."""
_ESTIMATE = 0.05
"""Share of such an estimate that may lack without being a flaw."""

_NO_FRAME = "not one frame can be decoded"
_ATTEMPTS = 100
"""Damaged frames that are passed over until the next sound one."""
_RECENT = 15
"""Intervals of which the median is the usual one."""
_AROUND = 30
"""Intervals before and behind a long one, among which others alike are looked for."""
_REPEATED = 0.1
"""Share of such intervals, three at least, that makes them the recording's own, and no holes."""
_NEVER_WRITTEN = 2**32 - 1
"""Length in the header of an AVI file that was written to a pipe, and could not be completed."""
_SAME_RATE = 0.02
"""Share by which two frame rates may differ that are the same."""
_MAX_STRETCH = 4.0
"""A pixel of a larger aspect ratio is a damaged header's."""


@dataclass(frozen=True)
class View:
    """How a stored frame becomes an upright picture of one face: first the half is cut out, then it is rotated."""

    rotation: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise."""
    half: Literal["left", "right"] | None = None
    """The half to keep of a frame that shows two views side by side, one of them through a mirror (MMI)."""


TURNS: tuple[View, ...] = (View(0), View(90), View(270), View(180))
"""The views of a recording that may lie on its side, the likeliest first."""


class VideoFacts(NamedTuple):
    """What a look at a video shows, without decoding it whole."""

    height: int
    width: int
    """Both of the upright frame with square pixels."""
    claimed_frames: int
    """By the header; often wrong."""
    decodable: int
    """Frames up to the last that decodes, which is looked up."""
    flaw: str
    """What the file lacks of the frames that its header promises; empty where nothing."""
    frame_rate: float
    """Frames per second by the header; their mean where they had to be counted; 0: not known."""


class TimedFrame(NamedTuple):
    """One decoded frame."""

    number: int
    """Counted from 0; frames that are lost count, too."""
    seconds: float
    """Since the first frame; NaN where nothing tells (images without a known frame rate)."""
    picture: np.ndarray
    """(H, W, 3) uint8 RGB."""


class Flaw(NamedTuple):
    """Frames of a recording that are lost: those before and after it do not follow each other."""

    first_frame: int | None
    """The first that is lost, counted from 0; None where it is not known, and numbers behind it are too small."""
    why: str


def read_frames(source: Path, images: Sequence[Path] = (), start: int = 0) -> Iterator[np.ndarray]:
    """The pictures of `read_timed`, without times and flaws."""
    for item in read_timed(source, images, start):
        if isinstance(item, TimedFrame):
            yield item.picture


def read_timed(
    source: Path, images: Sequence[Path] = (), start: int = 0, frame_rate: float | None = None
) -> Iterator[TimedFrame | Flaw]:
    """The frames in order, (H, W, 3) uint8 RGB, and where some are lost.

    Grey is repeated, 16 bits are cut to 8, alpha is dropped, pixels are made square; a rotation in the metadata is
    carried out.

    Args:
        source: a video file, or the folder of ``images``.
        images: the files of an image sequence, in the order to read them; their sizes may differ.
        start: number of the first frame to read, from 0. In a video it is looked up in the file's index,
            which may be wrong.
        frame_rate: of ``images``, in frames per second, where it is known. A video has time stamps.

    Raises:
        VideoError: no frame at all.
    """
    if images:
        yield from _images(images, start, frame_rate)
    elif source.is_dir():
        raise VideoError("no images", source.name)
    else:
        with _opened(source) as capture:
            if start:
                capture.set(cv2.CAP_PROP_POS_FRAMES, start)
            yield from _decoded(source, capture, start)


def _images(images: Sequence[Path], start: int, frame_rate: float | None) -> Iterator[TimedFrame | Flaw]:
    """The images from ``start`` on; one that is missing or can't be read is a flaw, if any can be read.

    The time of an image counts those that are missing before it, its number does not.
    """
    holes = missing_images(images)
    missing = sum(hole.images for at, hole in holes.items() if at <= start)
    lost: list[Flaw] = []
    errors: list[VideoError] = []
    for number, image in enumerate(images[start:], start):
        if number in holes and number > start:
            missing += holes[number].images
            lost.append(Flaw(number, holes[number].why))
        try:
            picture = read_image(image)
        except VideoError as error:
            errors.append(error)
            lost.append(Flaw(number, str(error)))
            continue
        yield from lost
        lost = []
        yield TimedFrame(number, (number + missing) / frame_rate if frame_rate else math.nan, picture)
    if errors and len(errors) == len(images) - start:
        raise errors[0]
    yield from lost


def frame_times(source: Path, images: Sequence[Path] = ()) -> Iterator[tuple[int, float]]:
    """The number of each frame that decodes, from 0, and its seconds, NaN for images; a break ends them."""
    if images:
        yield from ((number, math.nan) for number in range(len(images)))
        return
    with contextlib.suppress(VideoError), _opened(source) as capture:  # what comes behind a break is lost
        yield from _grabs(source, capture)


CONCEALED = "the decoder reports errors: frames may be grey or smeared, not known which"
"""What `listening` finds."""


@contextlib.contextmanager
def listening(source: Path) -> Iterator[Callable[[], bool]]:
    """A call that says, at the end, whether FFmpeg reports an error in a video, where it may conceal damage.

    Frames may be grey or smeared then, with no error in reading them. The decoder tells by messages alone, which OpenCV
    prints: so the video is decoded once more, in a process of its own, beside what the caller does. VP8's decoder
    notices no damage.
    """
    command = [sys.executable, "-c", _LISTENED_TO, str(source.resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as decoding:
        try:
            yield lambda: bool(decoding.stdout and decoding.stdout.read(1))
        finally:
            decoding.kill()  # the first message is enough


_LISTENED_TO = """\
import os, pathlib, sys
from fer3d.data.video import frame_times
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "16"  # errors; read when the first video is opened
for _ in frame_times(pathlib.Path(sys.argv[1])):
    pass
"""


_TURNED = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
"""What OpenCV calls a rotation by so many degrees clockwise."""


def upright(frame: np.ndarray, view: View) -> np.ndarray:
    """The half of the frame (H, W) or (H, W, C) that the view names, rotated; contiguous."""
    middle = frame.shape[1] // 2
    if view.half is not None:
        frame = frame[:, :middle] if view.half == "left" else frame[:, middle:]
    return cv2.rotate(frame, _TURNED[view.rotation]) if view.rotation else np.ascontiguousarray(frame)


def check_video(path: Path) -> VideoFacts:
    """Decode only the first frame and look for the last; raises `VideoError` when there is no first.

    A process looks at a file once, as long as it is the same file of the same size and times.
    """
    return _facts(path, *_state(path))


def _state(path: Path) -> tuple[int, ...]:
    """What tells whether a file has changed."""
    found = status_of(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@functools.lru_cache(maxsize=4096)
def _facts(path: Path, *_state: int) -> VideoFacts:
    with _opened(path) as capture:
        claimed = _count(capture, cv2.CAP_PROP_FRAME_COUNT)
        if _grab_next(path, capture, claimed) is None:
            raise _undecodable(path, capture)
        height, width = _squared(_retrieved(path, capture, 0), _aspect(capture)).shape[:2]
        frame_rate = capture.get(cv2.CAP_PROP_FPS)
        if _counts_frames(path) and _reaches_end(capture, claimed):
            return VideoFacts(height, width, claimed, claimed, "", frame_rate)
    number, seconds = _last_decodable(path)
    flaw = _shortfall(path, number + 1, claimed, seconds * frame_rate)
    return VideoFacts(height, width, claimed, number + 1, flaw, number / seconds if seconds > 0 else frame_rate)


def _reaches_end(capture: cv2.VideoCapture, claimed: int) -> bool:
    """Whether the last frame of the header is there. (False is not certain: an index may be wrong.)"""
    return claimed > 0 and bool(capture.set(cv2.CAP_PROP_POS_FRAMES, claimed - 1)) and bool(capture.grab())


def _last_decodable(path: Path) -> tuple[int, float]:
    """Number and seconds of the last frame that decodes; those that are lost before it count, too."""
    last = deque(frame_times(path), maxlen=1)
    return last[0] if last else (-1, 0.0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    size, kind = status_of(path).st_size, kind_of(path)
    if kind == FLASH and size > MAX_FLASH_BYTES:
        raise VideoError(f"a Flash video of more than {MAX_FLASH_BYTES // 2**20} MB", path.name, conversion(path))
    if not is_video(kind):
        convertible = kind.endswith("video") or kind == UNKNOWN
        remedy = conversion(path) if convertible else "git lfs pull" if "git" in kind else "another file"
        raise VideoError(f"{kind}, not a video that is read", path.name, remedy)
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
        raise VideoError(f"broken video, {first_line(error)}", path.name) from error
    finally:
        capture.release()


def _undecodable(path: Path, capture: cv2.VideoCapture) -> VideoError:
    kind = kind_of(path)
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    codec = code.to_bytes(4, "little").decode("latin-1").strip("\0 ")
    named = f" (codec {printable(codec)})" if codec else ""
    return VideoError(f"{kind}, of which {_NO_FRAME}{named}", path.name, f"a new copy, or {conversion(path)}")


def _decoded(path: Path, capture: cv2.VideoCapture, start: int) -> Iterator[TimedFrame | Flaw]:
    claimed, aspect = _count(capture, cv2.CAP_PROP_FRAME_COUNT), _aspect(capture)
    rate, seconds = capture.get(cv2.CAP_PROP_FPS), 0.0
    next_number, flawed = start, False
    for number, seconds in _grabs(path, capture, start):
        if number > next_number:
            flawed = True
            lost = (
                f"frame {next_number} is" if number == next_number + 1 else f"frames {next_number} to {number - 1} are"
            )
            yield Flaw(next_number, f"{lost} lost: the file has a hole")
        picture = _retrieved(path, capture, number)
        yield TimedFrame(number, seconds, cv2.cvtColor(_squared(picture, aspect), cv2.COLOR_BGR2RGB))
        next_number = number + 1
    if next_number == start and not start:
        raise _undecodable(path, capture)
    if why := _shortfall(path, next_number, claimed, seconds * rate):
        place_known = flawed or not _is_whole(path)
        yield Flaw(next_number if place_known else None, why)


def _shortfall(path: Path, decoded: int, claimed: int, intervals: float) -> str:
    """What the file lacks when ``decoded`` of ``claimed`` frames can be read; empty if nothing.

    ``intervals``: of the header's frame rate, up to the last frame. An estimate of the header counts these, not frames.
    """
    if _avi_length(path) == _NEVER_WRITTEN:
        return ""  # nor was the count
    exact = _counts_frames(path)
    if not exact and intervals > 0:
        claimed = round(claimed * (decoded - 1) / intervals)
    if claimed - decoded <= (0 if exact else max(2, round(_ESTIMATE * claimed))):
        return ""
    if _is_whole(path):
        return f"{decoded} of {claimed} frames decode: the others are lost or cut out, it is not known which"
    return f"frame {decoded} of {claimed}: the file breaks off"


def _counts_frames(path: Path) -> bool:
    """Whether the header counts the frames. That of an MPEG-4 file in fragments was written before there were any."""
    return kind_of(path) in _EXACT and b"moof" not in _boxes(path)


def _is_whole(path: Path) -> bool:
    """Whether an AVI or MPEG-4 file is as long as it says, so that frames are lost within it, and not at its end.

    (An MPEG-4 file may also name a part that is to be shown, as after a cut in a phone.)
    """
    size = path.stat().st_size
    return 0 < _avi_length(path) <= size - 8 or max(_boxes(path).values(), default=0) == size


def _avi_length(path: Path) -> int:
    """The length that an AVI file says it has, from its byte 8 on; 0 for another kind."""
    with path.open("rb") as file:
        head = file.read(12)
    return int.from_bytes(head[4:8], "little") if head[8:11] == b"AVI" else 0


def _boxes(path: Path) -> dict[bytes, int]:
    """The boxes that an MPEG-4 or QuickTime file consists of, by name, and where the last of a name ends."""
    ends: dict[bytes, int] = {}
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        for _ in range(MAX_FRAMES):
            if at >= size:
                break
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            length = int.from_bytes(head[8:], "big") if length == 1 else length or size - at
            if length < 8:
                break
            at += length
            ends[head[4:8]] = at
    return ends


def _grabs(path: Path, capture: cv2.VideoCapture, start: int = 0) -> Iterator[tuple[int, float]]:
    """Number and seconds of each frame, grabbed and not yet converted."""
    claimed = _count(capture, cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS)
    number, clock = start - 1, _Clock(rate, start, lambda: _without_hole(path, rate, *_state(path)))
    for _ in range(MAX_FRAMES + 1):
        passed_over = _grab_next(path, capture, claimed - number - 1)
        if passed_over is None:
            return
        number, seconds = clock.advance(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, passed_over)
        yield number, seconds
    raise VideoError(f"more than {MAX_FRAMES} frames", path.name)


def _grab_next(path: Path, capture: cv2.VideoCapture, remaining: int) -> int | None:
    """Grab the next sound frame: how many damaged ones are passed over; None at the end of the video.

    ``remaining``: frames that are still to come, by the header. At least one more is tried.
    """
    for passed_over in range(min(max(remaining, 1), _ATTEMPTS)):
        if _grabbed(path, capture):
            return passed_over
    return None


@functools.lru_cache(maxsize=4)
def _without_hole(path: Path, rate: float, *_state: int) -> frozenset[float]:
    """The time stamps of the frames before which none is lost, however long the interval.

    To tell, the whole file is decoded: called only where an interval is long.
    """
    stamps: list[float] = []
    with _opened(path) as capture:
        claimed = _count(capture, cv2.CAP_PROP_FRAME_COUNT)
        with contextlib.suppress(VideoError):  # what comes behind a break is lost
            while len(stamps) <= MAX_FRAMES and _grab_next(path, capture, claimed - len(stamps)) is not None:
                stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    exact = _counts_frames(path)
    missing = claimed - len(stamps)
    if exact and missing <= 0:
        return frozenset(stamps)
    lengths = [(after - before) * rate for before, after in itertools.pairwise(stamps)]
    lost = [round(length) - 1 if length > HOLE else 0 for length in lengths]
    if exact and sum(lost) <= missing + 2:  # the intervals show just what is missing, or nearly
        return frozenset()
    return frozenset(stamps[at + 1] for at in _repeated(lost))


def _repeated(lost: Sequence[int]) -> list[int]:
    """Of the frames that seem to be lost in each interval: where there are several such intervals close together.

    The recording drops frames regularly then, or its frame rate is another for a while.
    """
    around, found = 2 * _AROUND + 1, []
    for at, length in enumerate(lost):
        first = max(0, min(at - _AROUND, len(lost) - around))
        near = lost[first : first + around] if length else []
        alike = sum(other > 0 and abs(other - length) <= 1 for other in near)
        if alike >= max(3, int(_REPEATED * len(near))):
            found.append(at)
    return found


class _Clock:
    """Numbers and times of successive frames.

    Numbers follow the time stamps where these show that frames are lost: where an interval is a multiple of the
    usual one, and the header's frame rate says that intervals are all alike. (In a recording of variable frame rate
    a long interval is none of its flaws.)

    ``without_hole`` is asked where an interval is so long: the stamps before which no frame is lost nevertheless.
    """

    def __init__(self, rate: float, start: int, without_hole: Callable[[], Container[float]]) -> None:
        self._without_hole = without_hole
        self._rate, self._nominal = rate, 1 / rate if 0 < rate < 1000 else 0.0
        self._number, self._seconds = start, start * self._nominal
        self._origin: float | None = None
        """The time stamp at 0 s; None until the first frame, whose time follows from its number."""
        self._usual: deque[float] = deque(maxlen=_RECENT)

    def advance(self, stamp: float, passed_over: int) -> tuple[int, float]:
        """Number and seconds of the next frame, by its time stamp and the damaged frames before it."""
        if self._origin is None:
            self._origin = stamp - self._seconds
            return self._number, self._seconds
        typical = statistics.median(self._usual) if self._usual else self._nominal
        interval = stamp - self._origin - self._seconds
        even = abs(self._rate * typical - 1) < _SAME_RATE
        lost = round(interval / typical) - 1 if even and interval > HOLE * typical else 0
        if lost and stamp in self._without_hole():
            lost = 0
        if not 0 < interval < 3600:  # a stamp that is missing or damaged
            interval, self._origin = typical, stamp - self._seconds - typical
        if not lost:
            self._usual.append(interval)
        self._number += 1 + min(max(lost, min(passed_over, 1)), MAX_FRAMES)
        self._seconds += interval
        return self._number, self._seconds


def _retrieved(path: Path, capture: cv2.VideoCapture, number: int) -> np.ndarray:
    there, frame = capture.retrieve()
    if not there:
        raise VideoError(f"frame {number} cannot be converted", path.name)
    return np.asarray(frame)


def _grabbed(path: Path, capture: cv2.VideoCapture) -> bool:
    """Whether there is a next frame; `VideoError` when the search took too long, which is not the end of the video."""
    start = time.monotonic()
    if capture.grab():
        return True
    if time.monotonic() - start >= STALL_SECONDS:
        raise VideoError(f"no frame within {STALL_SECONDS:g} s; the file is damaged or the disk too slow", path.name)
    return False


def _count(capture: cv2.VideoCapture, what: int) -> int:
    """A number of the header, at most one more than the bound on frames."""
    return int(min(max(capture.get(what), 0), MAX_FRAMES + 1))


def _aspect(capture: cv2.VideoCapture) -> float:
    """Width of a pixel of the upright frame, by its height."""
    width, height = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    if not (width > 0 and height > 0 and 1 / _MAX_STRETCH <= width / height <= _MAX_STRETCH):
        return 1.0  # none given, or nonsense
    turned = capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 90
    return float(height / width if turned else width / height)


def _squared(picture: np.ndarray, aspect: float) -> np.ndarray:
    """The picture with square pixels; no side gets shorter, within the bound on pixels."""
    height, width = picture.shape[:2]
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    if size == (width, height) or size[0] * size[1] > MAX_PIXELS:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
