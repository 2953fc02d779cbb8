"""Ten-frame clips, cut from sequences.

Section 4.1 of the paper. CK+: the last ten frames of each labelled sequence. The other
databases: successive tens; what is left over at the end, nine frames at most, goes unused and
stands in no list (`prepared.json` tells the ``frames`` looked at, notebook 01 those in no clip).
Where single frames are labelled (DISFA), tens are cut from each run of frames with one
label. What the paper leaves open:

- a sequence of fewer than ten frames is padded, resampled or dropped (``settings.short``);
  a shorter run of a frame-labelled recording is dropped;
- a clip needs a face on ``settings.min_found`` of its frames. A frame without one is cut
  out by the square of the nearest frame that has one, and its landmarks are NaN.

Only the last ten frames of a CK+ sequence are read and tracked.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from fer3d.config import ClipSettings
from fer3d.data.databases.sequence import Sequence
from fer3d.data.faces import Face, FaceTracker, Rejected, choose_view, crop, crop_square
from fer3d.data.video import View, read_frames, upright

LAST_FRAMES = frozenset({"ckplus"})
"""Databases whose sequences end at the apex: only their last ten frames are used (paper)."""


@dataclass(frozen=True)
class Clip:
    """Ten consecutive frames of one face with one label."""

    first_frame: int
    label: str
    """Empty where the sequence has none (one's own video)."""
    padded: int
    pictures: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(T, 66, 2) float32, pixels of the crop; NaN where a frame has no face."""
    detections: np.ndarray
    """(T, 2) float32, faces seen and score of each frame (`Face`); 0 and NaN where a frame has no face."""
    squares: np.ndarray
    """(T, 4) float64, where each picture was cut out of its upright frame (`Square`)."""
    missing: tuple[Rejected, ...]
    """The frames without a face."""

    @property
    def n_faces(self) -> int:
        """The most faces seen in a frame."""
        return int(self.detections[:, 0].max())

    @property
    def score(self) -> float:
        """The smallest score of a frame."""
        return float(np.nanmin(self.detections[:, 1]))


@dataclass(frozen=True)
class Omitted:
    """A clip, or a run too short for one, that was left out."""

    first_frame: int
    reason: str


@dataclass(frozen=True)
class _Shot:
    """One decoded frame and what the tracker says of it."""

    index: int
    label: str | None
    frame: np.ndarray
    face: Face | Rejected


def cut(sequence: Sequence, tracker: FaceTracker) -> Iterator[Clip | Omitted]:
    """The clips of one sequence in order, and what had to be left out, by a new tracker. Raises `VideoError`."""
    settings = tracker.settings
    whole_tens = 0
    for shots in _tens(_shots(sequence, tracker), settings.num_frames):
        if len(shots) == settings.num_frames:
            whole_tens += 1
            yield _clip(shots, settings)
        elif sequence.frame_labels is not None:
            yield Omitted(shots[0].index, f"run of {len(shots)} frames with one label")
        elif not whole_tens and settings.short == "drop":
            yield Omitted(shots[0].index, f"sequence of {len(shots)} frames")
        elif not whole_tens:
            yield _clip(lengthened(shots, settings), settings, padded=settings.num_frames - len(shots))


def _shots(sequence: Sequence, tracker: FaceTracker) -> Iterator[_Shot]:
    """Each frame that may go into a clip, decoded, turned upright and tracked, with its label."""
    images = sequence.images
    if sequence.database in LAST_FRAMES:
        images = images[-tracker.settings.num_frames :]
    first = len(sequence.images) - len(images)
    view = view_of(sequence, tracker.settings)
    for index, stored in enumerate(read_frames(sequence.source, images), start=first):
        if sequence.frame_labels is None:
            label: str | None = sequence.label or ""
        elif index < len(sequence.frame_labels):
            label = sequence.frame_labels[index]
        else:
            return  # more frames than labels: the rest has none
        frame = upright(stored, view)
        yield _Shot(index, label, frame, tracker.step(frame))


def view_of(sequence: Sequence, settings: ClipSettings) -> View:
    """How a recording's frames become upright: where it may be in several ways, five frames decide."""
    if len(sequence.views) == 1:
        return sequence.views[0]
    few = itertools.islice(read_frames(sequence.source, sequence.images), 0, 81, 20)
    return choose_view(list(few), sequence.views, settings)


def _tens(shots: Iterable[_Shot], ten: int) -> Iterator[list[_Shot]]:
    """Successive tens of one label, and what is left of fewer before the label changes or the frames end."""
    group: list[_Shot] = []
    for shot in shots:
        if group and shot.label != group[0].label:
            yield group
            group = []
        if shot.label is not None:
            group.append(shot)
        if len(group) == ten:
            yield group
            group = []
    if group:
        yield group


def lengthened(shots: list[Any], settings: ClipSettings) -> list[Any]:
    """Fewer than ten frames made ten: the first repeated in front, or all spread out evenly."""
    if settings.short == "repeat_first":
        return [shots[0]] * (settings.num_frames - len(shots)) + shots
    return [shots[i] for i in np.linspace(0, len(shots) - 1, settings.num_frames).round().astype(int)]


def _clip(shots: list[_Shot], settings: ClipSettings, padded: int = 0) -> Clip | Omitted:
    """Ten shots as a clip, if enough of them show a face."""
    faces = {i: shot.face for i, shot in enumerate(shots) if isinstance(shot.face, Face)}
    reasons = {shot.index: shot.face.reason for shot in shots if isinstance(shot.face, Rejected)}
    if len(faces) < settings.min_found:
        reason, _ = Counter(reasons.values()).most_common(1)[0]
        return Omitted(shots[0].index, f"{reason} (a face on {len(faces)} of {len(shots)} frames)")
    of_clip = crop_square(np.stack([face.points for face in faces.values()]), settings)
    pictures, landmarks, squares = [], [], []
    for i, shot in enumerate(shots):
        nearest = min(faces, key=lambda j: abs(j - i))  # itself where it has a face
        square = of_clip if settings.crop_per == "clip" else crop_square(faces[nearest].points, settings)
        picture, points = crop(shot.frame, faces[nearest], settings, square)
        pictures.append(picture)
        landmarks.append(points if i in faces else np.full_like(points, np.nan))
        squares.append(astuple(square))
    return Clip(
        first_frame=shots[0].index,
        label=str(shots[0].label),
        padded=padded,
        pictures=np.stack(pictures),
        landmarks=np.stack(landmarks),
        detections=np.array(
            [(faces[i].n_faces, faces[i].score) if i in faces else (0, np.nan) for i in range(len(shots))], np.float32
        ),
        squares=np.array(squares),
        missing=tuple(Rejected(index, reason) for index, reason in reasons.items()),
    )
