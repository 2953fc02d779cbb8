"""A prepared store of rendered people: what pre-training learns from.

Not part of the paper. The people are synthetic, and none of them is in a stand-in database.
Camera, light, colour and backdrop are drawn at random for each person, strength and course of
the expression for each recording: a wide mixture without any database's style. The pictures are
rendered about as large as they are cropped, and the landmarks are the true ones with an error
like a detector's, so that no face has to be detected and no file decoded.

Each person is a part of the store (`write_in_parts`): a killed call resumes with the people that
are missing, and ends with the same bytes.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from fer3d import __version__, files, labels, program
from fer3d.config import ClipSettings, PretrainingSettings
from fer3d.data.crop import crop_box, cut_out, to_crop
from fer3d.data.landmarks import EYE_CORNERS, KEPT, REGIONS
from fer3d.data.store import FLAWLESS, FORMAT
from fer3d.data.writer import Writer, write_in_parts
from fer3d.standins.crowd.behaviour import Behaviour, behave, label
from fer3d.standins.crowd.camera import Camera, draw_camera, photograph, warped
from fer3d.standins.people.person import GLASSES, Person, make_person, random_stream
from fer3d.standins.picture.geometry import Geometry
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights

DATABASE = "people"
_SIDE, _FAR, _NEAR = 200 / 64, 0.5 / 64, 0.8 / 64
"""Side of a picture, and pixels per millimetre at the farthest and the nearest camera: per pixel of the crop."""
_OFFSET, _SHAKE = 0.012, 0.004
"""Standard deviation of the landmarks' error, constant over a clip and per frame: shares of the inter-ocular
distance."""

_EMOTIONS = tuple(name for name in labels.CLASSES[DATABASE] if name != "neutral")
_NEUTRAL = 12
"""One recording in so many is neutral from end to end; others begin or end so."""
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shown:
    """What a clip shows."""

    take: int
    emotion: str
    kind: str
    """The kind of its window, as `behaviour.label` has it."""


def source_of(settings: PretrainingSettings, clips: ClipSettings) -> str:
    """The ``source_fingerprint`` of the store that `write` writes."""
    chosen = {name: getattr(settings, name) for name in ("people", "recordings", "seed")}
    return files.fingerprint([FORMAT, chosen, clips.as_dict(), program.digest(__name__)])


def write(out: Path, settings: PretrainingSettings, clips: ClipSettings, workers: int | None = None) -> None:
    """Write the store, unless it is there. The same settings give the same bytes, however many processes render."""
    source = source_of(settings, clips)
    versions = {"fer3d": __version__, "opencv": cv2.__version__}
    metadata = {"database": DATABASE, "source_fingerprint": source, "versions": versions}
    tasks = {f"{source}-{number:05d}": number for number in range(settings.people)}
    make = partial(_write_person, settings)
    write_in_parts(out, clips, metadata, make, tasks, workers=workers, desc="people", unit="person")


def _write_person(settings: PretrainingSettings, number: int, part: Writer) -> None:
    shown, arrays = record_person(settings, part.settings, number)
    same = {**FLAWLESS, "database": DATABASE, "subject": f"P{number:05d}"}
    rows = []
    for count, clip in enumerate(shown):
        name = f"{number:05d}_{clip.take:02d}"
        rows.append(
            {
                **same,
                "clip": f"{name}_{clip.kind}_{count}",
                "sequence": name,
                "label": clip.emotion,
            }
        )
    part.put(rows, arrays)
    part.frames = len(rows) * part.settings.num_frames


def person(settings: PretrainingSettings, number: int) -> Person:
    """The person of that number. Stand-in databases seed theirs differently, so no person is in both."""
    who = make_person(DATABASE, settings.seed, number)
    rng = random_stream(DATABASE, "looks", settings.seed, number)
    return dataclasses.replace(
        who,
        shape=who.shape * rng.uniform(0.7, 1.5),
        mobility=who.mobility * np.clip(rng.normal(1, 0.15, who.mobility.shape[1]), 0.6, 1.5),
        glasses=str(rng.choice(GLASSES, p=[0.65, 0.08, 0.08, 0.08, 0.05, 0.06])),
    )


def record_person(settings: PretrainingSettings, clips: ClipSettings, number: int) -> tuple[list[Shown], Arrays]:
    """All clips of one person: what each shows, and the arrays of the store with an entry for each."""
    rng, who = random_stream(DATABASE, settings.seed, number), person(settings, number)
    renderer = Renderer(who, _scene(rng, who, clips.size))
    shown: list[Shown] = []
    taken: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for take in range(settings.recordings):
        renderer = renderer.in_scene(_scene(rng, who, clips.size))
        acted, cut = _act(rng, _emotion(settings, number, take), clips.num_frames)
        pictures, true = zip(*map(renderer.frame, acted.poses), strict=True)
        landmarks = _and_at_rest(renderer, acted, true)
        for window, seen in cut:
            shown.append(Shown(take, *seen))
            chosen = [pictures[t] for t in window]
            taken.append(_photographed(rng, chosen, landmarks[:, window], clips))
    frames, points, squares = (np.stack(part) for part in zip(*taken, strict=True))
    detections = np.ones((*frames.shape[:2], 3))
    numbers = np.tile(np.arange(frames.shape[1]), (len(frames), 1))
    arrays = {"frames": frames, "landmarks": points, "detections": detections, "squares": squares}
    return shown, {**arrays, "numbers": numbers}


def record_landmarks(settings: PretrainingSettings, clips: ClipSettings, number: int) -> tuple[list[Shown], np.ndarray]:
    """As `record_person`, but without pictures, in a small part of the time: what each clip shows, and its landmarks.

    Returns:
        The clips (other ones than those of `record_person`, by the same rules), and (N, T, 66, 2) float32 in pixels of
        the crop.
    """
    rng, who = random_stream(DATABASE, "landmarks", settings.seed, number), person(settings, number)
    geometry = Geometry(who, _scene(rng, who, clips.size))
    shown: list[Shown] = []
    taken: list[np.ndarray] = []
    for take in range(settings.recordings):
        geometry = geometry.in_scene(_scene(rng, who, clips.size))
        acted, cut = _act(rng, _emotion(settings, number, take), clips.num_frames)
        landmarks = _and_at_rest(geometry, acted, [geometry.landmarks(pose) for pose in acted.poses])
        for window, seen in cut:
            shown.append(Shown(take, *seen))
            chosen = draw_camera(rng)
            detected = _detected(rng, landmarks[:, window], chosen)
            fine = to_crop(detected, crop_box(detected, clips), 2 * clips.size)
            taken.append(_halved(warped(chosen, fine, 2 * clips.size)))
    return shown, np.stack(taken)


def _emotion(settings: PretrainingSettings, number: int, take: int) -> str:
    """What a person shows in a recording: over all people, each emotion as often as the others."""
    turn = number * settings.recordings + take
    return "neutral" if turn % _NEUTRAL == 0 else _EMOTIONS[(turn - turn // _NEUTRAL) % len(_EMOTIONS)]


def _and_at_rest(geometry: Geometry, acted: Behaviour, true: Sequence[np.ndarray]) -> np.ndarray:
    """(2, T, 66, 2) the landmarks of a behaviour's frames, and as they would be with the face at rest."""
    at_rest = [geometry.pixels(geometry.rest_landmarks, pose) for pose in acted.poses]
    return np.stack([np.stack(true), np.stack(at_rest)])[:, :, KEPT]


def _act(
    rng: np.random.Generator, emotion: str, length: int
) -> tuple[Behaviour, list[tuple[np.ndarray, tuple[str, str]]]]:
    """A behaviour, drawn until two windows or more are clear and one shows the emotion; and those windows."""
    while True:
        acted = behave(rng, emotion, 2 * length)
        cut = [(window, seen) for window in _windows(rng, length) if (seen := label(acted, window))]
        if len(cut) > 1 and any(seen[0] == emotion for _, seen in cut):
            return acted, cut


def _windows(rng: np.random.Generator, length: int) -> list[np.ndarray]:
    """Frames of a recording of twice that length: its halves, every second frame, and one window backwards."""
    middle = np.arange(length) + int(rng.integers(1, length))
    return [
        np.arange(length),
        np.arange(length, 2 * length),
        np.arange(int(rng.integers(2)), 2 * length, 2),
        middle[::-1],
    ]


def _scene(rng: np.random.Generator, who: Person, size: int) -> Scene:
    """A random camera, light and backdrop; `camera` adds what is wrong with the pictures."""
    key, hard, fill = (float(rng.uniform(*ends)) for ends in ((0.4, 1.0), (0, 1.0), (0.05, 0.6)))
    red, green, blue = rng.uniform(0.01, 0.7, 3).tolist()
    return Scene(
        width=round(_SIDE * size),
        height=round(_SIDE * size),
        scale=size * float(rng.uniform(_FAR, _NEAR)),
        centre=(0.5, 0.42),
        lights=three_point_lights(rng, key, hard, fill),
        backdrop=(red, green, blue),
        clutter=float(rng.choice([0, rng.uniform()], p=[0.6, 0.4])),
        exposure=auto_exposure(who) * float(rng.uniform(0.65, 1.4)),
        blur=float(rng.uniform(0, 0.6)),
        noise=0.5,
        seed=int(rng.integers(2**31)),
    )


def _photographed(
    rng: np.random.Generator, pictures: list[np.ndarray], true: np.ndarray, clips: ClipSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One clip (T, size, size, 3) uint8 RGB, its landmarks (T, 66, 2) in pixels of the crop, and its boxes (T, 4).

    ``true`` (2, T, 66, 2): the landmarks as they are, and as they would be with the face at rest.
    """
    chosen = draw_camera(rng)
    landmarks = _detected(rng, true, chosen)
    box = crop_box(landmarks, clips)
    cropped = np.stack([cut_out(picture, box, 2 * clips.size) for picture in pictures])
    seen, moved = photograph(rng, chosen, cropped, to_crop(landmarks, box, 2 * clips.size))
    small = np.stack([cv2.resize(picture, (clips.size, clips.size), interpolation=cv2.INTER_AREA) for picture in seen])
    return small, _halved(moved), np.array([astuple(box)] * len(small))


def _halved(landmarks: np.ndarray) -> np.ndarray:
    """The landmarks in pixels of the crop, from pixels half as large."""
    return ((landmarks + 0.5) / 2 - 0.5).astype(np.float32)


def _detected(rng: np.random.Generator, truth: np.ndarray, camera: Camera) -> np.ndarray:
    """Landmarks (T, 66, 2) with a detector's error from the true ones, ``truth`` as in `_photographed`.

    A detector follows an expression only in part, differently in each region; it is off by the same all the time, and
    by something new in each frame, more so on small faces; what a hand covers it invents.
    """
    true, at_rest = truth
    left, right = EYE_CORNERS
    distance = np.linalg.norm(true[0, right] - true[0, left])
    rough = 0.5 + 40 / camera.side
    followed, offset = np.ones((66, 1)), rng.normal(0, _OFFSET * rng.uniform(0.5, 1.5), (66, 2))
    for region in REGIONS:
        followed[region] = 1 - rng.uniform(0, 0.4) * (rng.random() < 0.5)
        offset[region] += rng.normal(0, _OFFSET, 2)
    shake = rng.normal(0, _SHAKE * rough, true.shape)
    if camera.hand:
        offset[48:] += rng.normal(0, 0.06, (18, 2))
        shake[:, 48:] *= 4
    return at_rest + followed * (true - at_rest) + distance * (offset + shake)
