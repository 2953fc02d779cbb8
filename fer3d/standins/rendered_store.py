"""A prepared store of rendered people: what pre-training learns from.

Not part of the paper. The people are synthetic, and none of them is in a stand-in database.
Camera, light, colour and backdrop are drawn at random for each person, strength and course of
the expression for each recording: a wide mixture without any database's style. The pictures are
rendered about as large as they are cropped, and the landmarks are the true ones with an error
like a detector's, so that no face has to be detected and no file decoded.

Each person is a part of the store (`write_in_parts`): a killed call resumes with the people that
are missing, and ends with the same bytes.
"""

from dataclasses import astuple
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from fer3d import __version__, files, labels, standins
from fer3d.config import ClipSettings, PretrainingSettings
from fer3d.data import crop
from fer3d.data.crop import crop_box, cut_out, to_crop
from fer3d.data.landmarks import EYE_CORNERS, KEPT
from fer3d.data.store import FORMAT
from fer3d.data.writer import Writer, write_in_parts
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import Person, make_person, random_stream
from fer3d.standins.picture.render import Renderer, render_frames
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights

DATABASE = "people"
_SIDE, _FAR, _NEAR = 200 / 64, 0.5 / 64, 0.8 / 64
"""Side of a picture, and pixels per millimetre at the farthest and the nearest camera: per pixel of the crop."""
_OFFSET, _SHAKE = 0.012, 0.004
"""Standard deviation of the landmarks' error, constant over a clip and per frame: shares of the inter-ocular
distance."""


def write(out: Path, settings: PretrainingSettings, clips: ClipSettings, workers: int | None = None) -> None:
    """Write the store, unless it is there. The same settings give the same bytes, however many processes render."""
    chosen = {name: getattr(settings, name) for name in ("people", "recordings", "seed")}
    program = [standins.source_digest(), *(Path(file).read_text() for file in (__file__, crop.__file__))]
    source = files.fingerprint([FORMAT, chosen, clips.as_dict(), program])
    versions = {"fer3d": __version__, "opencv": cv2.__version__}
    metadata = {"database": DATABASE, "source_fingerprint": source, "versions": versions}
    tasks = {f"{source}-{number:05d}": number for number in range(settings.people)}
    make = partial(_write_person, settings)
    write_in_parts(out, clips, metadata, make, tasks, workers=workers, desc="people", unit="person")


def _write_person(settings: PretrainingSettings, number: int, part: Writer) -> None:
    emotions, arrays = record_person(settings, part.settings, number)
    same = {"database": DATABASE, "subject": f"P{number:05d}", "first_frame": 0, "padded": 0, "missing": 0}
    same |= {"small": 0, "doubtful": 0}
    rows = []
    for take, emotion in enumerate(emotions):
        name = f"{number:05d}_{take:02d}"
        rows.append({**same, "clip": name, "sequence": name, "label": emotion, "n_faces": 1, "score": 1.0})
    part.put(rows, arrays)
    part.frames = len(rows) * part.settings.num_frames


def person(settings: PretrainingSettings, number: int) -> Person:
    """The person of that number. Stand-in databases seed theirs differently, so no person is in both."""
    return make_person(DATABASE, settings.seed, number)


def record_person(
    settings: PretrainingSettings, clips: ClipSettings, number: int
) -> tuple[list[str], dict[str, np.ndarray]]:
    """All recordings of one person: the emotions shown, and the arrays of the store with an entry for each."""
    rng, who = random_stream(DATABASE, settings.seed, number), person(settings, number)
    renderer = Renderer(who, _scene(rng, who, clips.size))
    classes = labels.CLASSES[DATABASE]
    emotions = [classes[(number * settings.recordings + take) % len(classes)] for take in range(settings.recordings)]
    taken = [_record(rng, renderer, emotion, clips) for emotion in emotions]
    frames, landmarks, squares = (np.stack(part) for part in zip(*taken, strict=True))
    detections = np.ones((*frames.shape[:2], 3))
    numbers = np.tile(np.arange(frames.shape[1]), (len(frames), 1))
    arrays = {"frames": frames, "landmarks": landmarks, "detections": detections, "squares": squares}
    return emotions, {**arrays, "numbers": numbers}


def _scene(rng: np.random.Generator, who: Person, size: int) -> Scene:
    """A random camera, light and backdrop."""
    key, hard, fill = (float(rng.uniform(*ends)) for ends in ((0.5, 0.95), (0, 0.9), (0.1, 0.45)))
    red, green, blue = rng.uniform(0.03, 0.5, 3).tolist()
    return Scene(
        width=round(_SIDE * size),
        height=round(_SIDE * size),
        scale=size * float(rng.uniform(_FAR, _NEAR)),
        centre=(0.5, 0.42),
        lights=three_point_lights(rng, key, hard, fill),
        backdrop=(red, green, blue),
        clutter=float(rng.choice([0, rng.uniform()], p=[0.6, 0.4])),
        exposure=auto_exposure(who) * float(rng.uniform(0.75, 1.3)),
        blur=float(rng.uniform(0, 0.6)),
        noise=float(rng.uniform(0.5, 3)),
        grey=bool(rng.random() < 0.5),
        seed=int(rng.integers(2**31)),
    )


def _record(
    rng: np.random.Generator, renderer: Renderer, emotion: str, clips: ClipSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One clip (T, size, size, 3) uint8 RGB, its landmarks (T, 66, 2) in pixels of the crop, and its boxes (T, 4)."""
    strength, textbook, sway, drift = (float(rng.uniform(*ends)) for ends in ((0.8, 1.3), (0, 1), (0.5, 2), (0.5, 2)))
    manner = ExpressionStyle(strength=strength, textbook=textbook, sway=sway, drift=drift)
    fps, yaw = float(rng.uniform(12, 30)), float(rng.normal(0, 4))
    shown = expression.sample_apex(rng, emotion, manner)
    poses = expression.animate(rng, course(rng, clips.num_frames), shown, manner, fps, yaw)
    true: list[np.ndarray] = []
    pictures = list(render_frames(renderer, poses, true))
    landmarks = _detected(rng, np.stack(true)[:, KEPT])
    box = crop_box(landmarks, clips)
    cropped = np.stack([cut_out(picture, box, clips.size) for picture in pictures])
    return cropped, to_crop(landmarks, box, clips.size).astype(np.float32), np.array([astuple(box)] * len(cropped))


def course(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) intensity of an expression, 0..1: mostly rising to its apex; else up and down, down, or up from midway."""
    kind = rng.choice(["rise", "hump", "fall", "late"], p=[0.7, 0.15, 0.075, 0.075])
    if kind == "rise":
        return expression.onset_to_apex(rng, int(rng.integers(frames, 2 * frames + 1)))[-frames:]
    if kind == "hump":
        return expression.onset_apex_offset(rng, 2 * frames)[::2]
    way = expression.onset_to_apex(rng, frames)
    return 1 - way if kind == "fall" else np.clip(way + 0.2, 0, 1)


def _detected(rng: np.random.Generator, landmarks: np.ndarray) -> np.ndarray:
    """True landmarks (T, 66, 2) with a detector's error."""
    left, right = EYE_CORNERS
    distance = np.linalg.norm(landmarks[0, right] - landmarks[0, left])
    offset, shake = rng.normal(0, _OFFSET, landmarks.shape[1:]), rng.normal(0, _SHAKE, landmarks.shape)
    return landmarks + distance * (offset + shake)
