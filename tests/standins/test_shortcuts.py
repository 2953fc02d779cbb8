"""Nothing but the expression tells the class of a stand-in: not the first frame, the room, the colours, the person,
the pose of the head or a recording's length.

Each database's plan is played before a camera that develops only the first frame of each
recording, small and with one skin for all; what needs no picture is asked of many more people.
For each thing that might give the class away a linear classifier gets it, and how it differs
from the subject's mean. The score that it gives to the true class of a new subject's recording
has to lie within `CHANCE` deviations of what it gives when the labels are shuffled. FERA's
recordings begin within the expression and DISFA's labels belong to frames, so that only CK+ and
MMI have first frames at rest.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fer3d.standins.people import acting
from fer3d.standins.people import person as people
from fer3d.standins.people.person import Person, Pose
from fer3d.standins.picture import skin, studio
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene
from fer3d.standins.releases import ckplus, disfa, fera, mmi

CHANCE = 4.0
SHUFFLES = 100
SMALL = 4
"""Factor by which the pictures are reduced."""
PEOPLE = {"ckplus": (250, 45), "mmi": (70, 22), "fera": (10, 10), "disfa": (27, 27)}
"""Invented people, and those whose pictures are developed: about 690 and 120 recordings, 400 and 130, 60, 360."""
LAYOUTS: dict[str, ModuleType] = {"ckplus": ckplus, "mmi": mmi, "fera": fera, "disfa": disfa}


@dataclass(frozen=True)
class Take:
    """A recording, or for DISFA a run of frames with one label."""

    subject: str
    label: str
    frames: int
    first: Pose
    who: Person
    scene: Scene
    picture: np.ndarray
    """(H, W, 3) uint8 RGB, the first frame of the recording."""
    points: np.ndarray
    """(68, 2) its true landmarks in pixels."""


class Camera:
    """Keeps what it saw at the first frame of each recording; the others stay black."""

    develops = True
    recordings: list[list[Pose]]
    seen: dict[int, tuple[Person, Scene, np.ndarray, np.ndarray]]

    def __init__(self, who: Person, scene: Scene) -> None:
        self.who, self.scene, self.made = who, scene, None

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        black = np.zeros((1, 1, 3), np.uint8), np.zeros((68, 2), np.float32)
        if pose is self.recordings[-1][0]:
            self.seen[id(pose)] = (self.who, self.scene, *(self._small().frame(pose) if self.develops else black))
        return black

    def _small(self) -> Renderer:
        size = {"width": self.scene.width // SMALL, "height": self.scene.height // SMALL}
        small = dataclasses.replace(self.scene, **size, scale=self.scene.scale / SMALL, blur=self.scene.blur / SMALL)
        if self.made is None or self.made.scene != small:
            self.made = Renderer(self.who, small)
        return self.made


@functools.cache
def takes(database: str, developed: bool) -> list[Take]:
    """Every labelled recording of a stand-in, played with the real plan; nothing is written."""
    everything = []
    with pytest.MonkeyPatch.context() as patch:
        skin_of_all = skin.bake(people.person("everybody"))
        perform = acting.perform
        Camera.recordings, Camera.seen, Camera.develops = [], {}, developed

        def performed(*about: object, **more: object) -> list[Pose]:
            Camera.recordings.append(perform(*about, **more))  # type: ignore[arg-type]
            return Camera.recordings[-1]

        patch.setattr(skin, "bake", lambda who: skin_of_all)
        patch.setattr(acting, "perform", performed)
        patch.setattr(studio, "Renderer", Camera)
        patch.setattr(studio, "write_video", lambda path, pictures, *_: [None for _ in pictures])
        patch.setattr(disfa, "_enlarged", iter)
        patch.setattr(cv2, "imwrite", lambda *_: True)
        patch.setattr(Path, "mkdir", lambda *_, **__: None)
        patch.setattr(Path, "write_text", lambda *_: 0)
        jobs = LAYOUTS[database].jobs(PEOPLE[database][developed], 0, 6)
        meant = [one for job in jobs for one in LAYOUTS[database].write_job(job, Path("nowhere"))]
    for one, poses in zip(meant, Camera.recordings, strict=True):
        for start, label in _labelled(one):
            who, scene, picture, points = Camera.seen[id(poses[0])]
            everything.append(Take(one.subject, label, len(poses), poses[start], who, scene, picture, points))
    return everything


def _labelled(meant: studio.Meant) -> list[tuple[int, str]]:
    """Where each label begins."""
    if meant.frame_labels is None:
        return [(0, meant.label)] if meant.label else []
    before = (None, *meant.frame_labels)
    return [(t, label) for t, label in enumerate(meant.frame_labels) if label and label != before[t]]


def lights(take: Take) -> list[float]:
    scene = take.scene
    numbers = [value for lamp in scene.lights for value in (*lamp.towards, *lamp.colour)]
    return [*numbers, *scene.ambient, scene.exposure, scene.blur, scene.noise, scene.scale, *scene.centre]


def person(take: Take) -> list[float]:
    who = take.who
    looks = [float(getattr(who, name) == kind) for name, kinds in STYLES.items() for kind in kinds]
    colours = [*who.skin, *who.lips, *who.iris, *who.hair, *who.clothes]
    return [who.age, who.volume, *who.proportions, *colours, *who.features.values(), *who.mobility.ravel(), *looks]


STYLES = {"style": people.STYLES, "beard": people.BEARDS, "glasses": people.GLASSES}


def head(take: Take) -> list[float]:
    pose = take.first
    return [*pose.turn, *pose.shift, *pose.gaze, pose.blink]


def colours(take: Take) -> np.ndarray:
    return np.concatenate([take.picture.mean((0, 1)), take.picture.std((0, 1))])


def background(take: Take) -> np.ndarray:
    """The upper corners, where nobody's head is."""
    side = take.picture.shape[1] // 6
    return np.concatenate(
        [corner.reshape(-1, 3).mean(0) for corner in (take.picture[:side, :side], take.picture[:side, -side:])]
    )


def first_frame(take: Take) -> np.ndarray:
    return cv2.resize(take.picture, (16, 12), interpolation=cv2.INTER_AREA).ravel()


def first_crop(take: Take) -> np.ndarray:
    """Eyes to chin, (12, 12) pixels."""
    low, high = take.points.min(0).astype(int), take.points.max(0).astype(int) + 1
    face = take.picture[max(0, low[1]) : high[1], max(0, low[0]) : high[0]]
    return cv2.resize(face, (12, 12), interpolation=cv2.INTER_AREA).ravel()


def first_points(take: Take) -> np.ndarray:
    """The points without the face's place and size, and these."""
    middle = take.points.mean(0)
    size = np.linalg.norm(take.points - middle)
    return np.concatenate([((take.points - middle) / size).ravel(), middle, [size]])


def length(take: Take) -> np.ndarray:
    return np.eye(8)[np.searchsorted([10, 12, 15, 20, 30, 36, 42], take.frames, side="right")]


PLANNED = (lights, person, head, length)
DEVELOPED = (colours, background, first_frame, first_crop, first_points)
AT_REST = ("ckplus", "mmi")
ASKED = [(database, what) for database in LAYOUTS for what in PLANNED if (database, what) != ("disfa", length)]
ASKED += [(database, what) for database in LAYOUTS for what in DEVELOPED if database in AT_REST or what is background]


@pytest.mark.parametrize(("database", "what"), ASKED, ids=lambda value: getattr(value, "__name__", value))
def test_the_class_cannot_be_told_from(database: str, what: Callable[[Take], Any]) -> None:
    shown = takes(database, what in DEVELOPED)
    assert above_chance(np.array([what(take) for take in shown], float), shown) < CHANCE, f"n = {len(shown)}"


@pytest.mark.parametrize("database", ["ckplus", "mmi", "fera"])
def test_the_class_cannot_be_told_from_the_subject(database: str) -> None:
    """What a subject showed in other recordings says nothing of this one, save that few show a class twice."""
    shown = takes(database, developed=False)
    subjects = np.array([take.subject for take in shown])
    assert above_chance((subjects[:, None] == np.unique(subjects)).astype(float), shown, apart=False) < CHANCE


def above_chance(features: np.ndarray, shown: list[Take], apart: bool = True) -> float:
    """The true class's held-out score less that of shuffled labels, in deviations of the latter.

    Ridge regression on the classes' indicators, a rare class weighing as much as a common one; one fit a fold
    serves all shuffles. ``apart``: held out are whole subjects.
    """
    names, classes = np.unique([take.label for take in shown], return_inverse=True)
    subjects = np.unique([take.subject for take in shown], return_inverse=True)[1]
    if apart:
        means = np.stack([features[subjects == one].mean(axis=0) for one in range(subjects.max() + 1)])
        features = np.hstack([features, features - means[subjects]])
    splitter = StratifiedGroupKFold if apart else StratifiedKFold
    folds = splitter(5, shuffle=True, random_state=0).split(features, classes, subjects if apart else None)
    rng = np.random.default_rng(0)
    truth = np.stack([classes, *(rng.permutation(classes) for _ in range(SHUFFLES))], axis=1)
    wanted = np.eye(len(names))[truth] / np.bincount(classes)
    scores = np.zeros(truth.shape)
    for train, test in folds:
        model = make_pipeline(StandardScaler(), Ridge(alpha=10.0))
        model.fit(features[train], wanted[train].reshape(len(train), -1))
        said = model.predict(features[test]).reshape(len(test), *wanted.shape[1:])
        scores[test] = (wanted[test] * (said - said.mean(axis=-1, keepdims=True))).sum(axis=-1)
    score, *shuffled = scores.mean(axis=0)
    return float((score - np.mean(shuffled)) / np.std(shuffled))
