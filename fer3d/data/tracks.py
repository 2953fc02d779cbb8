"""The people of one recording: each face followed as a track, each track cut into windows of ten frames.

For one's own video (`own_video`); the databases show one person each, and their clips are cut by `clips`.

- **Tracks.** A face is followed from frame to frame as in `faces`. The whole frame is searched for further people every
  `RECOUNT` frames, and every `PATIENCE` frames while somebody who was lost may return or nobody is seen: a bound on the
  time that a large picture takes. After a scene cut it is searched at once. Who is found again within `RETURN` seconds
  near the place where they were lost, and looks the same, keeps their number. A face whose picture changes suddenly
  (`continuity`) is another person's: a scene cut.
- **Windows.** A window holds ten frames of one track, spread evenly over ``seconds``; where fewer than ten frames
  lie in them, ten successive ones, so that no frame is repeated. A frame without the face ends the track's stretch, and
  so do lost frames and a scene cut: no window spans them. What is left over at the end of a stretch has no window.
- **Short recordings.** A recording with fewer frames than a window, all of which show the person, is filled up as the
  network's training clips were (``settings.short``), and marked.

Times are in seconds from the recording's first frame, boxes and landmarks in pixels of the upright frame.
"""

import dataclasses
import math
import statistics
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from fer3d.config import ClipSettings
from fer3d.data import continuity
from fer3d.data.clips import pad_to_length
from fer3d.data.continuity import FACE, SUDDEN
from fer3d.data.crop import Box, crop_box, crop_face
from fer3d.data.face_fit import Face, refit
from fer3d.data.face_search import Search, count_faces, is_among
from fer3d.data.faces import PATIENCE, RECOUNT
from fer3d.data.video import Flaw, TimedFrame

PEOPLE = 6
"""Most people who are followed at once."""
RETURN = 2.0
"""Seconds within which a person who was lost may return."""
_PAUSE = 3
"""A longer interval than so many of the one before, and than a window, is a pause: no window spans it."""
_MARGIN = 1.5
"""What is kept of a frame round a face, in sides of its box."""


@dataclass(frozen=True)
class Sighting:
    """One person in one frame."""

    frame: int
    seconds: float
    end: float
    """When the frame ends: it lasts as long as the shorter of the two intervals before it (one may be a hole).

    The first frame of a recording does not last at all.
    """
    face: Face
    picture: np.ndarray
    """The surroundings of the face, (h, w, 3) uint8 RGB."""
    corner: tuple[int, int]
    """x and y of the picture's first pixel in the frame."""


@dataclass(frozen=True)
class Window:
    """Ten frames of one person, as the network takes them."""

    person: int
    """Counted from 1 in the order of appearance."""
    first: Sighting
    last: Sighting
    padded: int
    """Frames that repeat another."""
    frames: np.ndarray
    """(T, H, W, 3) uint8 RGB."""
    landmarks: np.ndarray
    """(T, 66, 2) float32, pixels of the crop."""
    box: Box
    """The square that was cut out; the first frame's where each has its own."""
    score: float
    """The detector's smallest in the ten frames, above 0."""
    confidence: float
    """The smallest of the landmarks', 0 to 1."""
    n_faces: int
    """The largest number of faces in a frame."""

    @property
    def end(self) -> float:
        """When the last frame ends."""
        return self.last.end


@dataclass(frozen=True)
class Gap:
    """Frames without a prediction, and why."""

    person: int | None
    """None where nobody is seen, or the recording itself lacks frames."""
    first_frame: int | None
    last_frame: int | None
    start: float
    end: float
    """When the last frame ends."""
    reason: str


@dataclass(frozen=True)
class Step:
    """One frame of a recording, and what ended with it."""

    frame: TimedFrame | None
    """Upright; None behind the last frame."""
    end: float
    """When the frame ends; of the last step when the recording ends."""
    people: dict[int, Face]
    done: list[Window | Gap]
    pending: int
    """The first frame that may still be part of a window; those before it are settled."""


class Tracker:
    """The faces of successive frames, each with the number of its person."""

    def __init__(self, settings: ClipSettings, most: int) -> None:
        self._settings, self._most = settings, most
        self._seen: dict[int, _Track] = {}
        self._lost: dict[int, _Track] = {}
        self._known = 0
        self._frames = 0
        self._whole = Search(settings)
        self._since_search = math.inf
        self.too_small = False
        """Whether a face below the smallest size was seen in the last frame."""

    def step(self, seconds: float, picture: np.ndarray) -> dict[int, Face]:
        """The people of the next frame (H, W, 3) uint8 RGB: at most ``most``, the largest central ones."""
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        self.too_small = False
        before, self._seen = self._seen, {}
        for person, track in before.items():
            face = refit(grey, track.face)
            if face is None or not self._is_new(face):
                self._lost[person] = track
            elif track.is_another(patch := continuity.patch(grey, face)):
                self._lost.clear()  # a scene cut: who was lost before is not expected back
                self._since_search = math.inf
                continue
            else:
                track.update(face, patch, seconds)
                self._seen[person] = track
        self._lost = {person: track for person, track in self._lost.items() if seconds - track.seconds <= RETURN}
        for person, track in list(self._lost.items()):
            if person not in before and len(self._seen) < self._most and (face := refit(grey, track.face)) is not None:
                self._take(grey, face, seconds, {person: track})
        self._frames += 1
        self._since_search += 1
        awaited = self._lost and len(self._seen) < self._most
        if self._since_search >= (PATIENCE if awaited or not self._seen else RECOUNT):
            self._search(grey, seconds)
        return {person: track.face for person, track in self._seen.items()}

    def end_stretch(self) -> None:
        """Frames are lost here: whoever is seen next is somebody new, unless they look the same."""
        self._lost |= self._seen
        self._seen = {}
        self._since_search = math.inf

    def _search(self, grey: np.ndarray, seconds: float) -> None:
        self._since_search = 0
        if len(self._seen) == self._most:
            count = count_faces(grey, self._settings)
        else:
            known = [track.face.box for track in self._seen.values()]
            found, others = self._whole(grey, self._frames, known, self._most - len(known))
            for face in found:
                if not self._take(grey, face, seconds, self._lost) and self._is_new(face):
                    self._known += 1
                    self._seen[self._known] = _Track(face, continuity.patch(grey, face), seconds)
            count = len(self._seen) + sum(box.side >= self._settings.min_face for box in others)
        for track in self._seen.values():
            track.face = dataclasses.replace(track.face, n_faces=max(count, len(self._seen)))

    def _take(self, grey: np.ndarray, face: Face, seconds: float, lost: "dict[int, _Track]") -> bool:
        """Whether a face is that of somebody who was lost; they are followed again."""
        patch = continuity.patch(grey, face)
        person = next((person for person, track in lost.items() if track.is_near(face, patch)), None)
        if person is None or not self._is_new(face):
            return False
        self._lost.pop(person)
        self._seen[person] = _Track(face, patch, seconds)
        return True

    def _is_new(self, face: Face) -> bool:
        """Whether a face is large enough, which is noted, and not followed already."""
        small = face.box.side < self._settings.min_face
        self.too_small |= small
        return not small and not is_among(face.box, (track.face.box for track in self._seen.values()))


@dataclass
class _Track:
    """A person as last seen."""

    face: Face
    patch: np.ndarray
    seconds: float
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=15))

    def update(self, face: Face, patch: np.ndarray, seconds: float) -> None:
        self.changes.append(continuity.change(self.patch, patch))
        self.face, self.patch, self.seconds = face, patch, seconds

    def is_another(self, patch: np.ndarray) -> bool:
        """Whether the next frame's picture is another person's."""
        change = continuity.change(self.patch, patch)
        return change > FACE and change > SUDDEN * (statistics.median(self.changes) if self.changes else 0)

    def is_near(self, face: Face, patch: np.ndarray) -> bool:
        """Whether a face found later may be this person's."""
        return continuity.in_place(face, self.face) and continuity.change(self.patch, patch) < 2 * FACE


class _Cutter:
    """The windows of one person."""

    def __init__(self, person: int, seconds: float, step: float | None, settings: ClipSettings) -> None:
        self._person, self._settings, self._seconds, self._step = person, settings, seconds, step
        self._open: list[list[Sighting]] = []
        self._started = -math.inf
        """When the last window was due to begin."""
        self._first: Sighting | None = None
        self._last: Sighting | None = None
        self._count, self._filled = 0, False

    @property
    def pending(self) -> float:
        """The first frame of the oldest window that is not full."""
        return self._open[0][0].frame if self._open else math.inf

    def add(self, seen: Sighting) -> Iterator[Window]:
        """The next frame of a stretch; yields a window that it fills."""
        tolerance = (seen.seconds - self._last.seconds) / 2 if self._last else 0.0
        self._first, self._last, self._count = self._first or seen, seen, self._count + 1
        length = self._settings.num_frames
        for window in self._open:
            if seen.seconds >= window[0].seconds + len(window) * self._seconds / length - tolerance:
                window.append(seen)
        if self._step is None:
            due = not self._open
        elif due := seen.seconds >= self._started + self._step - tolerance:
            late = seen.seconds - self._started > 2 * self._step  # so is the first window
            self._started = seen.seconds if late else self._started + self._step
        if due:
            self._open.append([seen])
        while self._open and len(self._open[0]) == length:
            self._filled = True
            yield _window(self._person, self._open.pop(0), 0, self._settings)

    def end(self, recording: int | None = None) -> Iterator[Window | Gap]:
        """The stretch ends; ``recording`` is the number of the recording's frames where it ends, too."""
        if self._first is None or self._last is None or self._filled:
            return
        sightings = self._open[0]
        if self._count == recording and self._settings.short != "drop":
            full = pad_to_length(sightings, self._settings)
            yield _window(self._person, full, len(full) - len(sightings), self._settings)
        else:
            first, last = self._first, self._last
            span = first.frame, last.frame, first.seconds, last.end
            yield Gap(self._person, *span, "seen for less than a window")


def follow(
    items: Iterable[TimedFrame | Flaw],
    settings: ClipSettings,
    seconds: float,
    step: float | None = None,
    most: int = PEOPLE,
) -> Iterator[Step]:
    """The steps of a recording: every frame with its people, and the windows and gaps that end there.

    Args:
        items: upright frames with their times, and flaws.
        settings: how faces are found and cropped; the number of frames in a window.
        seconds: length of a window.
        step: seconds from the beginning of one window to that of the next; None: windows follow each other.
        most: how many people are followed at once.
    """
    tracker, cutters, nobody = Tracker(settings, most), dict[int, _Cutter](), _Nobody(settings.min_face)
    frames, last = 0, 0
    before, lasting, end, lost = math.inf, math.inf, 0.0, False
    done: list[Window | Gap] = []
    for item in items:
        interval = 0.0 if isinstance(item, Flaw) else max(0.0, item.seconds - before)
        if isinstance(item, Flaw) or (interval > max(seconds, _PAUSE * lasting) and not lost):
            done += [each for cutter in cutters.values() for each in cutter.end()]
            done += [*nobody.end(), _between(item, end)]
            cutters.clear()
            tracker.end_stretch()
        if lost := isinstance(item, Flaw):
            continue
        frames, last = frames + 1, item.number
        before, end, lasting = item.seconds, item.seconds + min(interval, lasting), interval or math.inf
        people = tracker.step(item.seconds, item.picture)
        for person in [person for person in cutters if person not in people]:
            done += cutters.pop(person).end()
        for person, face in people.items():
            cutter = cutters.setdefault(person, _Cutter(person, seconds, step, settings))
            done += cutter.add(_sighting(item, end, face))
        done += nobody.add(item, end, bool(people), tracker.too_small)
        pending = min((cutter.pending for cutter in cutters.values()), default=math.inf)
        yield Step(item, end, people, done, int(min(pending, item.number + 1)))
        done = []
    for cutter in cutters.values():
        done += cutter.end(frames)
    yield Step(None, end, {}, [*done, *nobody.end()], last + 1)


def _between(item: TimedFrame | Flaw, end: float) -> Gap:
    """The gap that a flaw is, or the pause before a frame, since the ``end`` of the last one."""
    if isinstance(item, Flaw):
        return Gap(None, item.first_frame, None, math.nan, math.nan, item.why)
    return Gap(None, None, None, end, item.seconds, "no frame was recorded")


class _Nobody:
    """The stretches in which nobody is followed."""

    def __init__(self, min_face: int) -> None:
        self._min_face, self._too_small = min_face, False
        self._first: TimedFrame | None = None
        self._last: tuple[int, float] = 0, 0.0

    def add(self, frame: TimedFrame, end: float, seen: bool, too_small: bool) -> Iterator[Gap]:
        if seen:
            yield from self.end()
        else:
            self._too_small |= too_small
            self._first = self._first or frame._replace(picture=frame.picture[:0])
            self._last = frame.number, end

    def end(self) -> Iterator[Gap]:
        if self._first is not None:
            reason = f"only faces smaller than {self._min_face} px found" if self._too_small else "no face found"
            yield Gap(None, self._first.number, self._last[0], self._first.seconds, self._last[1], reason)
        self._first, self._too_small = None, False


def _sighting(frame: TimedFrame, end: float, face: Face) -> Sighting:
    """What is kept of a frame: the surroundings of one face, so that memory stays small for large pictures."""
    height, width = frame.picture.shape[:2]
    reach = _MARGIN * face.box.side
    left, right = (int(np.clip(face.box.x + side * reach, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(face.box.y + side * reach, 0, height)) for side in (-1, 1))
    return Sighting(frame.number, frame.seconds, end, face, frame.picture[top:bottom, left:right].copy(), (left, top))


def _window(person: int, sightings: list[Sighting], padded: int, settings: ClipSettings) -> Window:
    faces = [seen.face for seen in sightings]
    shared = crop_box(np.stack([face.landmarks for face in faces]), settings)
    boxes = [shared if settings.crop_per == "clip" else crop_box(face.landmarks, settings) for face in faces]
    cropped = []
    for seen, box in zip(sightings, boxes, strict=True):
        there = dataclasses.replace(box, x=box.x - seen.corner[0], y=box.y - seen.corner[1])
        cropped.append(crop_face(seen.picture, seen.face.landmarks - seen.corner, settings, there))
    return Window(
        person=person,
        first=sightings[0],
        last=sightings[-1],
        padded=padded,
        frames=np.stack([picture for picture, _ in cropped]),
        landmarks=np.stack([landmarks for _, landmarks in cropped]),
        box=boxes[0],
        score=min(face.score for face in faces),
        confidence=min(face.confidence for face in faces),
        n_faces=max(face.n_faces for face in faces),
    )
