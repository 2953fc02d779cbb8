"""Ten-frame clips, cut from sequences.

Section 4.1 of the paper. CK+: the last ten frames of each labelled sequence. The other
databases of the paper: successive windows of ten frames; what is left over at the end, nine frames at most,
is not used and not listed (``frames`` in `prepared.json` counts the frames processed, notebook 01
those in no clip). Where single frames are labelled (DISFA), windows are cut from each run of
frames with one label. What the paper leaves open:

- a sequence of fewer than ten frames is padded, resampled or dropped (``settings.short``);
  a shorter run of a frame-labelled recording is dropped;
- a clip needs a face on ``settings.min_found`` of its frames. A frame without one is cropped
  with the box of the nearest frame that has one, and its landmarks are NaN;
- frames follow each other as they were recorded, at whatever rate. With ``settings.frame_step``
  they are taken at that interval instead, so that the same motion gives the same clip at any rate.

A clip that spans a scene cut, another person (`continuity`: between frames that lie close together) or lost frames
(`video.Flaw`) is dropped.
Only the last ten frames of a CK+ sequence are read and tracked.

RAVDESS, CREMA-D and one's own recordings are not in the paper. There a recording, or the part of it that the table
names, is one clip of ten frames spread evenly over it; or it is cut as MMI is (``settings.sampling``).
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from typing import TypeVar

import numpy as np

from fer3d import labels
from fer3d.config import ClipSettings
from fer3d.data.continuity import find_break
from fer3d.data.crop import crop_box, crop_face
from fer3d.data.databases.sequence import Sequence
from fer3d.data.face_fit import DOUBTFUL, SMALL, Face
from fer3d.data.face_search import choose_view
from fer3d.data.faces import FaceTracker, Rejected
from fer3d.data.file_kinds import VideoError
from fer3d.data.images import read_image
from fer3d.data.video import Flaw, TimedFrame, View, frame_times, read_frames, read_timed, upright

LAST_FRAMES = frozenset({"ckplus"})
"""Databases whose sequences end at the apex: only their last ten frames are used (paper)."""
SPREAD = frozenset(labels.TITLES).difference(labels.PAPER)
"""Databases whose recordings may be sampled as a whole."""

T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """Ten frames of one face with one label: successive, or spread over a recording."""

    first_frame: int
    seconds: float
    """Of the first frame since the recording's; NaN where no time is known."""
    frame_rate: float
    """Frames a second in the clip; NaN where no time is known."""
    label: str
    """Empty where the sequence has none (one's own video)."""
    padded: int
    """Frames that repeat another."""
    small: int
    """Frames whose face is smaller than `face_fit.SMALL`: landmarks are vague there."""
    doubtful: int
    """Frames whose landmarks are doubtful: confidence below `face_fit.DOUBTFUL`."""
    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(T, 66, 2) float32, pixels of the crop; NaN where a frame has no face."""
    detections: np.ndarray
    """(T, 3) float32: number of faces, score, confidence of each frame (`Face`); 0, NaN, NaN where it has no face."""
    squares: np.ndarray
    """(T, 4) float64, the `Box` of the upright frame that each picture was cut out of."""
    numbers: np.ndarray
    """(T,) int32, the number of each frame in the recording, from 0."""
    missing: Mapping[int, str]
    """The frames without a face, by their number, and why."""

    @property
    def n_faces(self) -> int:
        """The largest number of faces in a frame."""
        return int(self.detections[:, 0].max())

    @property
    def score(self) -> float:
        """The smallest score of a frame."""
        return float(np.nanmin(self.detections[:, 1]))

    @property
    def confidence(self) -> float:
        """The smallest confidence of a frame."""
        return float(np.nanmin(self.detections[:, 2]))


@dataclass(frozen=True)
class DroppedClip:
    """A clip, or a run too short for one, that is not used."""

    first_frame: int
    seconds: float
    reason: str


@dataclass(frozen=True)
class Frame:
    """One decoded frame with the tracker's result."""

    index: int
    """Counted from 0 in the sequence."""
    seconds: float
    """Since the recording's first frame; NaN where no time is known."""
    label: str | None
    run: int
    """How many flaws of the recording lie before it."""
    picture: np.ndarray
    """(H, W, 3) uint8 RGB, upright."""
    face: Face | Rejected | None = None
    """None before tracking."""


def cut(sequence: Sequence, tracker: FaceTracker) -> Iterator[Clip | DroppedClip | Flaw]:
    """The clips of one sequence in order, what was dropped, and what the recording lacks, by a new tracker.

    Raises `VideoError`.
    """
    settings = tracker.settings
    whole = 0
    flaws: list[Flaw] = []
    for frames in windows(_tracked_frames(sequence, tracker, flaws), settings.num_frames):
        if len(frames) == settings.num_frames:
            whole += 1
            yield _clip(frames, settings)
        elif sequence.frame_labels is not None:
            yield _dropped(frames, f"run of {len(frames)} frames with one label")
        elif not whole and settings.short == "drop":
            yield _dropped(frames, f"sequence of {len(frames)} frames")
        elif not whole:
            yield _clip(pad_to_length(frames, settings), settings, padded=settings.num_frames - len(frames))
    yield from flaws


def _tracked_frames(sequence: Sequence, tracker: FaceTracker, flaws: list[Flaw]) -> Iterator[Frame]:
    """Each frame that may go into a clip, decoded, turned upright and tracked, with its label."""
    frames = _upright_frames(sequence, tracker.settings, flaws)
    for frame, face in tracker.follow(frames, lambda frame: frame.picture):
        yield replace(frame, face=face)


def _upright_frames(sequence: Sequence, settings: ClipSettings, flaws: list[Flaw]) -> Iterator[Frame]:
    """The frames before tracking; ``flaws`` gets those of the recording."""
    view = view_of(sequence, settings)
    for item in _chosen(sequence, settings):
        if isinstance(item, Flaw):
            flaws.append(item)
            if sequence.frame_labels is not None and (item.first_frame is None or sequence.images):
                raise VideoError(f"{item.why}, so that labels and frames do not match", sequence.source.name)
            continue
        if sequence.frame_labels is None:
            label: str | None = sequence.label or ""
        elif item.number < len(sequence.frame_labels):
            label = sequence.frame_labels[item.number]
        else:
            flaws.append(Flaw(item.number, f"only {len(sequence.frame_labels)} labels: the frames behind are not used"))
            return
        yield Frame(item.number, item.seconds, label, len(flaws), upright(item.picture, view))


def _chosen(sequence: Sequence, settings: ClipSettings) -> Iterator[TimedFrame | Flaw]:
    """The frames that go into clips: spread over the recording, at the interval of the settings, or all."""
    spread = spread_frames(sequence, settings)
    items = _part(_last_frames(sequence, settings), sequence)
    if spread is None:
        yield from _sampled(items, settings.frame_step)
    else:
        yield from (item for item in items if isinstance(item, Flaw) or item.number in spread)


def _part(items: Iterable[TimedFrame | Flaw], sequence: Sequence) -> Iterator[TimedFrame | Flaw]:
    """Those of the part of the recording that the sequence is."""
    began, seconds = False, 0.0
    for item in items:
        number = item.number if isinstance(item, TimedFrame) else item.first_frame
        seconds = item.seconds if isinstance(item, TimedFrame) else seconds
        if number is None or sequence.holds(number, seconds):
            began = began or isinstance(item, TimedFrame)
            yield item
        elif began:
            return


def _last_frames(sequence: Sequence, settings: ClipSettings) -> Iterator[TimedFrame | Flaw]:
    """The frames of a recording; of a sequence that ends at the apex the last ones alone."""
    images, rate = sequence.images, sequence.frame_rate
    if sequence.database not in LAST_FRAMES:
        yield from read_timed(sequence.source, images, frame_rate=rate)
        return
    stride = max(1, round(settings.frame_step * rate)) if rate else 1
    first = (len(images) - 1) % stride
    start = max(first, len(images) - 1 - stride * (settings.num_frames - 1))
    for number in range(start, len(images), stride):
        yield TimedFrame(number, number / rate if rate else math.nan, read_image(images[number]))


def _sampled(items: Iterable[TimedFrame | Flaw], step: float) -> Iterator[TimedFrame | Flaw]:
    """The frames nearest to every ``step`` seconds; none twice, all of a recording whose intervals are longer.

    0, or frames without a time: all.
    """
    due, before = -math.inf, math.nan
    for item in items:
        if step and isinstance(item, TimedFrame) and not math.isnan(item.seconds):
            interval = 0.0 if math.isnan(before) else item.seconds - before
            before = item.seconds
            if due - item.seconds > interval / 2:
                continue
            due = max((item.seconds if due == -math.inf else due) + step, item.seconds)
        yield item


def spread_frames(sequence: Sequence, settings: ClipSettings) -> list[int] | None:
    """The ten frames that stand for a whole recording, or all where it has fewer; None where each frame counts.

    Their numbers, from 0, are spread evenly from the first frame to the last.
    """
    if sequence.database not in SPREAD or settings.sampling != "whole":
        return None
    numbers = [number for number, at in frame_times(sequence.source, sequence.images) if sequence.holds(number, at)]
    frames = range(numbers[0], numbers[-1] + 1) if numbers else range(0)
    if len(frames) <= settings.num_frames:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, settings.num_frames).round().astype(int)]


def view_of(sequence: Sequence, settings: ClipSettings) -> View:
    """How a recording's frames become upright: of several candidates the one that suits five of its frames best."""
    few = itertools.islice(read_frames(sequence.source, sequence.images), 0, 81, 20)
    return choose_view(few, sequence.views, settings)


def windows(frames: Iterable[Frame], length: int) -> Iterator[list[Frame]]:
    """Successive windows of frames with one label; shorter where the label changes or the frames end."""
    window: list[Frame] = []
    for frame in frames:
        if window and frame.label != window[0].label:
            yield window
            window = []
        if frame.label is not None:
            window.append(frame)
        if len(window) == length:
            yield window
            window = []
    if window:
        yield window


def pad_to_length(frames: list[T], settings: ClipSettings) -> list[T]:
    """Fewer than ten frames made ten: the first repeated in front, or all spread out evenly."""
    if settings.short == "repeat_first":
        return [frames[0]] * (settings.num_frames - len(frames)) + frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, settings.num_frames).round().astype(int)]


def _clip(frames: list[Frame], settings: ClipSettings, padded: int = 0) -> Clip | DroppedClip:
    """Ten frames as a clip, if enough of them show a face, all of one person in one scene."""
    faces = {i: frame.face for i, frame in enumerate(frames) if isinstance(frame.face, Face)}
    reasons = {frame.index: frame.face.reason for frame in frames if isinstance(frame.face, Rejected)}
    if frames[0].run != frames[-1].run:
        return _dropped(frames, "frames of the recording are lost within it")
    if len(faces) < settings.min_found:
        reason, _ = Counter(reasons.values()).most_common(1)[0]
        return _dropped(frames, f"{reason} (a face on {len(faces)} of {len(frames)} frames)")
    if found := find_break([frames[i].picture for i in faces], list(faces.values()), [frames[i].index for i in faces]):
        return _dropped(frames, f"{found[1]} at frame {frames[list(faces)[found[0]]].index}")
    box_of_clip = crop_box(np.stack([face.landmarks for face in faces.values()]), settings)
    pictures, landmarks, squares = [], [], []
    for i, frame in enumerate(frames):
        nearest = faces[min(faces, key=lambda j: abs(j - i))]  # its own where it has a face
        box = box_of_clip if settings.crop_per == "clip" else crop_box(nearest.landmarks, settings)
        picture, mapped = crop_face(frame.picture, nearest.landmarks, settings, box)
        pictures.append(picture)
        landmarks.append(mapped if i in faces else np.full_like(mapped, np.nan))
        squares.append(astuple(box))
    none = (0, np.nan, np.nan)
    seen = [(faces[i].n_faces, faces[i].score, faces[i].confidence) if i in faces else none for i in range(len(frames))]
    return Clip(
        first_frame=frames[0].index,
        seconds=frames[0].seconds,
        frame_rate=_frame_rate(frames),
        label=str(frames[0].label),
        padded=padded,
        small=sum(face.box.side < SMALL for face in faces.values()),
        doubtful=sum(face.confidence < DOUBTFUL for face in faces.values()),
        frames=np.stack(pictures),
        landmarks=np.stack(landmarks),
        detections=np.array(seen, np.float32),
        squares=np.array(squares),
        numbers=np.array([frame.index for frame in frames], np.int32),
        missing=reasons,
    )


def _frame_rate(frames: list[Frame]) -> float:
    """Frames a second, measured from the first to the last of these that differ; NaN where nothing tells."""
    times = sorted({frame.seconds for frame in frames})
    lasting = times[-1] - times[0]
    return (len(times) - 1) / lasting if lasting > 0 else math.nan


def _dropped(frames: list[Frame], reason: str) -> DroppedClip:
    return DroppedClip(frames[0].index, frames[0].seconds, reason)
