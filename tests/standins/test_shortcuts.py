"""No shortcuts: in a stand-in, nothing but the expression predicts the class of a recording.

Tested are the first frame, the background, the person, the head's pose and the
recording's length. Each database's plan is recorded by a camera that renders only the first
frame of each recording, small and with the same skin for everyone; features that need no
picture are tested on many more people. A linear classifier gets a feature, and its difference
from the subject's mean. Its score for the true class of held-out subjects' recordings must lie
within `CHANCE` standard deviations of the scores for shuffled labels. FERA's recordings start
mid-expression and DISFA's labels belong to frames, so only CK+ and MMI have first frames at rest.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fer3d.standins.people import expression
from fer3d.standins.people.person import BEARDS, GLASSES, HAIR_STYLES, Person, Pose, make_person
from fer3d.standins.picture import skin
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene
from fer3d.standins.releases import disfa, recording, writer
from fer3d.standins.releases.recording import GroundTruth

CHANCE = 4.0
SHUFFLES = 100
SMALL = 4
"""Factor by which the pictures are reduced."""
PEOPLE = {"ckplus": (250, 45), "mmi": (70, 22), "fera": (10, 10), "disfa": (27, 27)}
"""Number of people without and with pictures: about 690 and 120 recordings, 400 and 130, 60, 360."""


@dataclass(frozen=True)
class Take:
    """A recording, or for DISFA a run of frames with the same label."""

    subject: str
    label: str
    frames: int
    first: Pose
    person: Person
    scene: Scene
    picture: np.ndarray
    """(H, W, 3) uint8 RGB, the first frame of the recording."""
    landmarks: np.ndarray
    """(68, 2) its true landmarks in pixels."""


class FirstFrameRenderer:
    """Renders the first frame of each recording only; the other frames are one black pixel."""

    renders = True
    recordings: list[list[Pose]]
    seen: dict[int, tuple[Person, Scene, np.ndarray, np.ndarray]]

    def __init__(self, person: Person, scene: Scene) -> None:
        self.person, self.scene = person, scene

    def frame(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        black = np.zeros((1, 1, 3), np.uint8), np.zeros((68, 2), np.float32)
        if pose is self.recordings[-1][0]:
            first = self._small.frame(pose) if self.renders else black
            self.seen[id(pose)] = (self.person, self.scene, *first)
        return black

    @functools.cached_property
    def _small(self) -> Renderer:
        size = {"width": self.scene.width // SMALL, "height": self.scene.height // SMALL}
        small = dataclasses.replace(self.scene, **size, scale=self.scene.scale / SMALL, blur=self.scene.blur / SMALL)
        return Renderer(self.person, small)


@functools.cache
def takes(database: str, pictures: bool) -> list[Take]:
    """Every labelled recording of a stand-in's real plan; no file is written."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        same_skin = skin.bake_texture(make_person("everybody"))
        animate, camera = expression.animate, FirstFrameRenderer
        camera.recordings, camera.seen, camera.renders = [], {}, pictures

        def animate_and_keep(*arguments: object, **options: object) -> list[Pose]:
            camera.recordings.append(animate(*arguments, **options))  # type: ignore[arg-type]
            return camera.recordings[-1]

        patch.setattr(skin, "bake_texture", lambda person: same_skin)
        patch.setattr(expression, "animate", animate_and_keep)
        patch.setattr(writer, "Renderer", camera)
        patch.setattr(recording, "write_video", lambda path, frames, *_: [None for _ in frames])
        patch.setattr(disfa, "SIZE", (1, 1))
        patch.setattr(cv2, "imwrite", lambda *_: True)
        patch.setattr(Path, "mkdir", lambda *_, **__: None)
        patch.setattr(Path, "write_text", lambda *_: 0)
        plans = writer.LAYOUTS[database].plan(PEOPLE[database][pictures], 0, 6)
        truths = [truth for plan in plans for truth in writer.write_subject(database, 0, Path("nowhere"), plan)]
    for truth, poses in zip(truths, camera.recordings, strict=True):
        for start, label in _label_starts(truth):
            person, scene, picture, landmarks = camera.seen[id(poses[0])]
            found.append(Take(truth.subject, label, len(poses), poses[start], person, scene, picture, landmarks))
    return found


def _label_starts(truth: GroundTruth) -> list[tuple[int, str]]:
    """Frame at which each label begins."""
    if truth.frame_labels is None:
        return [(0, truth.label)] if truth.label else []
    before = (None, *truth.frame_labels)
    return [(t, label) for t, label in enumerate(truth.frame_labels) if label and label != before[t]]


def lights(take: Take) -> list[float]:
    scene = take.scene
    numbers = [value for lamp in scene.lights for value in (*lamp.towards, *lamp.colour)]
    return [*numbers, *scene.ambient, scene.exposure, scene.blur, scene.noise, scene.scale, *scene.centre]


def person(take: Take) -> list[float]:
    p = take.person
    looks = [float(getattr(p, name) == kind) for name, kinds in STYLES.items() for kind in kinds]
    colours = [*p.skin, *p.lips, *p.iris, *p.hair, *p.clothes_colour]
    return [p.age, p.volume, *p.proportions, *colours, *p.features.values(), *p.mobility.ravel(), *looks]


STYLES = {"style": HAIR_STYLES, "beard": BEARDS, "glasses": GLASSES}


def head(take: Take) -> list[float]:
    pose = take.first
    return [*pose.turn, *pose.shift, *pose.gaze, pose.blink]


def background(take: Take) -> np.ndarray:
    """The upper corners, which no head reaches."""
    side = take.picture.shape[1] // 6
    corners = take.picture[:side, :side], take.picture[:side, -side:]
    return np.concatenate([corner.mean((0, 1)) for corner in corners])


def first_frame(take: Take) -> np.ndarray:
    return cv2.resize(take.picture, (16, 12), interpolation=cv2.INTER_AREA).ravel()


def first_crop(take: Take) -> np.ndarray:
    """Eyes to chin, (12, 12) pixels."""
    low, high = take.landmarks.min(0).astype(int), take.landmarks.max(0).astype(int) + 1
    face = take.picture[max(0, low[1]) : high[1], max(0, low[0]) : high[0]]
    return cv2.resize(face, (12, 12), interpolation=cv2.INTER_AREA).ravel()


def first_landmarks(take: Take) -> np.ndarray:
    """The landmarks normalised by position and size, and these two."""
    middle = take.landmarks.mean(0)
    size = np.linalg.norm(take.landmarks - middle)
    return np.concatenate([((take.landmarks - middle) / size).ravel(), middle, [size]])


def length(take: Take) -> np.ndarray:
    return np.eye(8)[np.searchsorted([10, 12, 15, 20, 30, 36, 42], take.frames, side="right")]


WITHOUT_PICTURE = (lights, person, head, length)
OF_PICTURE = (background, first_frame, first_crop, first_landmarks)
AT_REST = ("ckplus", "mmi")
CASES = [(database, what) for database in PEOPLE for what in WITHOUT_PICTURE if (database, what) != ("disfa", length)]
CASES += [(database, what) for database in PEOPLE for what in OF_PICTURE if database in AT_REST or what is background]


@pytest.mark.parametrize(("database", "what"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_the_class_cannot_be_predicted_from(database: str, what: Callable[[Take], Any]) -> None:
    shown = takes(database, what in OF_PICTURE)
    assert above_chance(np.array([what(take) for take in shown], float), shown) < CHANCE, f"n = {len(shown)}"


@pytest.mark.parametrize("database", ["ckplus", "mmi", "fera"])
def test_the_class_cannot_be_predicted_from_the_subject(database: str) -> None:
    """A subject's other recordings predict nothing, except that few people show a class twice."""
    shown = takes(database, pictures=False)
    subjects = np.array([take.subject for take in shown])
    assert above_chance((subjects[:, None] == np.unique(subjects)).astype(float), shown, apart=False) < CHANCE


def above_chance(features: np.ndarray, shown: list[Take], apart: bool = True) -> float:
    """The held-out score of the true labels minus that of shuffled ones, in standard deviations of the latter.

    Ridge regression on class indicators, weighted so that rare classes count as much as common ones; one
    fit per fold serves all shuffles. ``apart``: hold out whole subjects.
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
        predicted = model.predict(features[test]).reshape(len(test), *wanted.shape[1:])
        scores[test] = (wanted[test] * (predicted - predicted.mean(axis=-1, keepdims=True))).sum(axis=-1)
    score, *shuffled = scores.mean(axis=0)
    return float((score - np.mean(shuffled)) / np.std(shuffled))
