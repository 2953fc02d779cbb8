"""Ten-frame clips, cut from sequences.

Section 4.1 of the paper. CK+: the last ten frames of each labelled sequence. The other
databases of the paper: successive windows of ten frames; what is left over at the end, nine frames at most,
is not used and not listed (``frames`` in `prepared.json` counts the frames processed, notebook 01
those in no clip). Where single frames are labelled (DISFA), windows are cut from each run of
frames with one label. What the paper leaves open:

- a sequence of fewer than ten frames is padded, resampled or dropped (``settings.short``);
  a shorter run of a frame-labelled recording is dropped;
- a clip needs a face on ``settings.min_found`` of its frames. A frame without one is cropped
  with the box of the nearest frame that has one, and its landmarks are NaN.

Only the last ten frames of a CK+ sequence are read and tracked.

RAVDESS, CREMA-D and one's own recordings are not in the paper. There a recording, or the part of it that the table
names, is one clip of ten frames spread evenly over it; or it is cut as MMI is (``settings.sampling``).
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import TypeVar

import numpy as np

from fer3d import labels
from fer3d.config import ClipSettings
from fer3d.data.crop import crop_box, crop_face
from fer3d.data.databases.sequence import Sequence
from fer3d.data.faces import Face, FaceTracker, Rejected, choose_view
from fer3d.data.video import View, count_frames, read_frames, upright

LAST_FRAMES = frozenset({"ckplus"})
"""Databases whose sequences end at the apex: only their last ten frames are used (paper)."""
SPREAD = frozenset(labels.TITLES).difference(labels.PAPER)
"""Databases whose recordings may be sampled as a whole."""

T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """Ten frames of one face with one label: consecutive, or spread over a recording."""

    first_frame: int
    label: str
    """Empty where the sequence has none (one's own video)."""
    padded: int
    """Frames that repeat another."""
    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(T, 66, 2) float32, pixels of the crop; NaN where a frame has no face."""
    detections: np.ndarray
    """(T, 2) float32, number of faces and score of each frame (`Face`); 0 and NaN where a frame has no face."""
    squares: np.ndarray
    """(T, 4) float64, the `Box` of the upright frame that each picture was cut out of."""
    missing: Mapping[int, str]
    """The frames without a face, counted from 0 in the sequence, and why."""

    @property
    def n_faces(self) -> int:
        """The largest number of faces in a frame."""
        return int(self.detections[:, 0].max())

    @property
    def score(self) -> float:
        """The smallest score of a frame."""
        return float(np.nanmin(self.detections[:, 1]))


@dataclass(frozen=True)
class DroppedClip:
    """A clip, or a run too short for one, that is not used."""

    first_frame: int
    reason: str


@dataclass(frozen=True)
class Frame:
    """One decoded frame with the tracker's result."""

    index: int
    """Counted from 0 in the sequence."""
    label: str | None
    picture: np.ndarray
    """(H, W, 3) uint8 RGB, upright."""
    face: Face | Rejected


def cut(sequence: Sequence, tracker: FaceTracker) -> Iterator[Clip | DroppedClip]:
    """The clips of one sequence in order, and what was dropped, by a new tracker. Raises `VideoError`."""
    settings = tracker.settings
    whole = 0
    for frames in windows(_tracked_frames(sequence, tracker), settings.num_frames):
        if len(frames) == settings.num_frames:
            whole += 1
            yield _clip(frames, settings)
        elif sequence.frame_labels is not None:
            yield DroppedClip(frames[0].index, f"run of {len(frames)} frames with one label")
        elif not whole and settings.short == "drop":
            yield DroppedClip(frames[0].index, f"sequence of {len(frames)} frames")
        elif not whole:
            yield _clip(pad_to_length(frames, settings), settings, padded=settings.num_frames - len(frames))


def _tracked_frames(sequence: Sequence, tracker: FaceTracker) -> Iterator[Frame]:
    """Each frame that may go into a clip, decoded, turned upright and tracked, with its label."""
    images = sequence.images
    if sequence.database in LAST_FRAMES:
        images = images[-tracker.settings.num_frames :]
    first = len(sequence.images) - len(images)
    view = view_of(sequence, tracker.settings)
    spread = spread_frames(sequence, tracker.settings)
    stored_frames = enumerate(read_frames(sequence.source, images), start=first)
    for index, stored in itertools.islice(stored_frames, sequence.first, sequence.last):
        if spread is not None and index not in spread:
            continue
        if sequence.frame_labels is None:
            label: str | None = sequence.label or ""
        elif index < len(sequence.frame_labels):
            label = sequence.frame_labels[index]
        else:
            return  # more frames than labels: the others have none
        picture = upright(stored, view)
        yield Frame(index, label, picture, tracker.step(picture))


def spread_frames(sequence: Sequence, settings: ClipSettings) -> list[int] | None:
    """The ten frames that stand for a whole recording, or all where it has fewer; None where each frame counts.

    Their numbers, from 0, are spread evenly from the first frame to the last.
    """
    if sequence.database not in SPREAD or settings.sampling != "whole":
        return None
    frames = range(count_frames(sequence.source, sequence.images))[sequence.first : sequence.last]
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
    """Ten frames as a clip, if enough of them show a face."""
    faces = {i: frame.face for i, frame in enumerate(frames) if isinstance(frame.face, Face)}
    reasons = {frame.index: frame.face.reason for frame in frames if isinstance(frame.face, Rejected)}
    if len(faces) < settings.min_found:
        reason, _ = Counter(reasons.values()).most_common(1)[0]
        return DroppedClip(frames[0].index, f"{reason} (a face on {len(faces)} of {len(frames)} frames)")
    box_of_clip = crop_box(np.stack([face.landmarks for face in faces.values()]), settings)
    pictures, landmarks, squares = [], [], []
    for i, frame in enumerate(frames):
        nearest = faces[min(faces, key=lambda j: abs(j - i))]  # its own where it has a face
        box = box_of_clip if settings.crop_per == "clip" else crop_box(nearest.landmarks, settings)
        picture, mapped = crop_face(frame.picture, nearest.landmarks, settings, box)
        pictures.append(picture)
        landmarks.append(mapped if i in faces else np.full_like(mapped, np.nan))
        squares.append(astuple(box))
    return Clip(
        first_frame=frames[0].index,
        label=str(frames[0].label),
        padded=padded,
        frames=np.stack(pictures),
        landmarks=np.stack(landmarks),
        detections=np.array(
            [(faces[i].n_faces, faces[i].score) if i in faces else (0, np.nan) for i in range(len(frames))], np.float32
        ),
        squares=np.array(squares),
        missing=reasons,
    )
