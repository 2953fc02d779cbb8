"""A crowd of rendered people as a prepared store: what pre-training learns from.

Not part of the paper. The people are invented, and none of them is in a stand-in database.
Camera, light, colour and room are drawn anew for each person, strength and course of the
expression for each recording: a wide mixture that has no database's style. The pictures are
drawn about as large as they are cropped, and the points are the true ones with an error like a
detector's, so that no face is searched and no file decoded.

The store's arrays are filled person by person under a hidden name; a killed run goes on with
the person it was at, and ends with the same bytes.
"""

import os
import shutil
from dataclasses import astuple
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from fer3d import __version__, files, labels, standins
from fer3d.config import ClipSettings, PretrainingSettings
from fer3d.data.faces import crop_square, cut_out
from fer3d.data.landmarks import EYE_CORNERS, KEPT
from fer3d.data.preparation import fresh
from fer3d.data.store import FORMAT, MANIFEST, REJECTED, digest, of_a_clip
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import Person, make_person, random_stream
from fer3d.standins.picture.render import Renderer, render_frames
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.workers import each_done

DATABASE = "people"
_SIDE, _FAR, _NEAR = 200 / 64, 0.5 / 64, 0.8 / 64
"""Side of a picture, and pixels a millimetre at the farthest and the nearest camera: for each pixel of the crop."""
_OFFSET, _SHAKE = 0.012, 0.004
"""Deviation of the points' error, lasting over a clip and from frame to frame: shares of the inter-ocular distance."""

Filmed = tuple[list[str], dict[str, np.ndarray]]
"""One person: the emotions shown, a recording each, and the person's rows of each array of the store."""


def write(out: Path, settings: PretrainingSettings, clips: ClipSettings, workers: int | None = None) -> None:
    """Write the store, unless it is there. The same settings give the same bytes, whoever worked on it."""
    drawn = {name: getattr(settings, name) for name in ("people", "recordings", "seed")}
    program = [standins.source_digest(), Path(__file__).read_text(encoding="utf-8")]
    release = files.fingerprint([FORMAT, drawn, clips.as_dict(), program])
    growing = out.with_name(f".{out.name}.growing")
    with files.lock(out):
        if fresh(out, release) is None:
            shown = _fill(growing, settings, clips, release, workers)
            _finish(growing, shown, clips, release)
            shutil.rmtree(out, ignore_errors=True)
            growing.rename(out)


def _fill(
    growing: Path, settings: PretrainingSettings, clips: ClipSettings, release: str, workers: int | None
) -> list[list[str]]:
    """Fill the arrays from where a killed run stopped; returns the emotions that each person showed."""
    told, kinds = growing / "shown.json", of_a_clip(clips)
    if not told.exists() or files.read_json(told)["release"] != release:
        shutil.rmtree(growing, ignore_errors=True)
        growing.mkdir(parents=True)
        for name, (kind, shape) in kinds.items():
            whole = (settings.people * settings.recordings, *shape)
            with (growing / f"{name}.npy").open("wb") as array:
                header = {"descr": kind, "fortran_order": False, "shape": whole}
                np.lib.format.write_array_header_1_0(array, header)
        files.write_json(told, {"release": release, "shown": []})
    for half in growing.glob(".*.part"):  # of a process that was killed while writing
        half.unlink()
    shown = files.read_json(told)["shown"]
    with tqdm(total=settings.people, initial=len(shown), desc="people", unit="person", disable=None) as bar:
        for emotions, parts in each_done(partial(film, settings, clips), range(len(shown), settings.people), workers):
            for name, (kind, _) in kinds.items():
                _put(growing / f"{name}.npy", parts[name].astype(kind).tobytes(), len(shown))
            shown.append(emotions)
            files.write_json(told, {"release": release, "shown": shown})
            bar.update()
    return shown


def _put(array: Path, numbers: bytes, person: int) -> None:
    """Write one person's share of an array in its place, to the disk. Not by memory map: a full disk would kill."""
    with array.open("r+b") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        file.seek(person * len(numbers), os.SEEK_CUR)
        file.write(numbers)
        file.flush()
        os.fsync(file.fileno())


def _finish(growing: Path, shown: list[list[str]], clips: ClipSettings, release: str) -> None:
    """The tables that make a store of the filled arrays."""
    rows = [
        {"clip": f"{number:05d}_{take:02d}", "subject": f"P{number:05d}", "label": emotion}
        for number, emotions in enumerate(shown)
        for take, emotion in enumerate(emotions)
    ]
    told = {"database": DATABASE, "first_frame": 0, "padded": 0, "missing": 0, "n_faces": 1, "score": 1.0}
    manifest = pd.DataFrame([{**row, "sequence": row["clip"], **told} for row in rows], columns=list(MANIFEST))
    files.write_csv(growing / "manifest.csv", manifest)
    info = {
        "format": FORMAT,
        "database": DATABASE,
        "settings": clips.as_dict(),
        "release": release,
        "versions": {"fer3d": __version__, "opencv": cv2.__version__},
        "clips": len(manifest),
        "padded": 0,
        "rejected": 0,
        "frames": len(manifest) * clips.num_frames,
        "manifest": digest(growing / "manifest.csv"),
        "fingerprint": files.fingerprint([release, shown]),
    }
    files.write_csv(growing / "rejected.csv", pd.DataFrame(columns=list(REJECTED)))
    files.write_json(growing / "prepared.json", info)


def person(settings: PretrainingSettings, number: int) -> Person:
    """The person of that number. Stand-ins name theirs otherwise, so that nobody is in two places."""
    return make_person(DATABASE, settings.seed, number)


def film(settings: PretrainingSettings, clips: ClipSettings, number: int) -> Filmed:
    """All recordings of one person."""
    cv2.setNumThreads(1)  # the processes share the processors
    rng, who = random_stream(DATABASE, settings.seed, number), person(settings, number)
    renderer = Renderer(who, _scene(rng, who, clips.size))
    classes = labels.CLASSES[DATABASE]
    emotions = [classes[(number * settings.recordings + take) % len(classes)] for take in range(settings.recordings)]
    taken = [_record(rng, renderer, emotion, clips) for emotion in emotions]
    frames, points, squares = (np.stack(part) for part in zip(*taken, strict=True))
    seen = np.ones((*frames.shape[:2], 2))
    return emotions, {"frames": frames, "landmarks": points, "detections": seen, "squares": squares}


def _scene(rng: np.random.Generator, who: Person, size: int) -> Scene:
    """A camera, a light and a room of any kind."""
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
    """One clip (T, size, size, 3) uint8 RGB, its points (T, 66, 2) in pixels of the crop, and its squares (T, 4)."""
    strength, textbook, sway, drift = (float(rng.uniform(*ends)) for ends in ((0.8, 1.3), (0, 1), (0.5, 2), (0.5, 2)))
    manner = ExpressionStyle(strength=strength, textbook=textbook, sway=sway, drift=drift)
    fps, yaw = float(rng.uniform(12, 30)), float(rng.normal(0, 4))
    shown = expression.sample_apex(rng, emotion, manner)
    poses = expression.animate(rng, course(rng, clips.num_frames), shown, manner, fps, yaw)
    true: list[np.ndarray] = []
    pictures = list(render_frames(renderer, poses, true))
    points = _detected(rng, np.stack(true)[:, KEPT])
    square = crop_square(points, clips)
    cuts = [cut_out(picture, square, clips.size) for picture in pictures]
    matrix = cuts[0][1]
    points = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return np.stack([picture for picture, _ in cuts]), points, np.array([astuple(square)] * len(cuts))


def course(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T,) how far an expression has come, 0..1: mostly up to its apex; else up and down, down, up from midway."""
    kind = rng.choice(["rise", "hump", "fall", "late"], p=[0.7, 0.15, 0.075, 0.075])
    if kind == "rise":
        return expression.onset_to_apex(rng, int(rng.integers(frames, 2 * frames + 1)))[-frames:]
    if kind == "hump":
        return expression.onset_apex_offset(rng, 2 * frames)[::2]
    way = expression.onset_to_apex(rng, frames)
    return 1 - way if kind == "fall" else np.clip(way + 0.2, 0, 1)


def _detected(rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
    """True points (T, 66, 2) with a detector's error."""
    left, right = EYE_CORNERS
    distance = np.linalg.norm(points[0, right] - points[0, left])
    return points + distance * (rng.normal(0, _OFFSET, points.shape[1:]) + rng.normal(0, _SHAKE, points.shape))
