"""The RAVDESS stand-in: actors who say one of two sentences in eight emotions, each take with and without sound.

Layout of the unpacked videos of https://doi.org/10.5281/zenodo.1188976. As in the original: names of seven numbers,
every take in two modalities with the same pictures, no strong neutral, song without disgust, surprise and actor 18,
a sound file in between. Different: 640 x 360 pixels, 0.8 s instead of 3 to 5 s, MPEG-4 and not H.264, fewer takes.
"""

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer3d.labels import RAVDESS_CODES
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import Person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.standins.releases import recording
from fer3d.standins.releases.recording import GroundTruth, SubjectPlan

FPS = 30000 / 1001
FRAMES = (20, 29)
"""Length of a recording: at least, and less than."""
_ACTORS = 24
_MOST = 4 * len(RAVDESS_CODES)
"""Takes of an actor: two statements, each twice, in every emotion."""
_SUNG = ("01", "02", "03", "04", "05", "06")
"""Emotions that are sung, too."""
_SILENT = 18
"""The actor who does not sing."""
_STRENGTH = {1: 0.8, 2: 1.25}
"""Factor on the expression, by intensity."""

STYLE = ExpressionStyle(strength=1.0, textbook=0.4, foreign=0.6, sway=3.0, drift=2.0)


@dataclass(frozen=True)
class Take:
    """One take of an actor."""

    channel: int
    emotion: str
    """The code."""
    intensity: int
    statement: int
    repetition: int

    def stem(self, modality: int, actor: int) -> str:
        """The file's name without its suffix."""
        numbers = (modality, self.channel, self.emotion, self.intensity, self.statement, self.repetition, actor)
        return "-".join(f"{int(number):02d}" for number in numbers)


def plan(subjects: int, seed: int, recordings: int) -> list[SubjectPlan]:
    """Plan ``recordings`` takes per actor: emotions in turn, a quarter of what can be sung is sung."""
    rng = random_stream("ravdess", seed, "plan")
    emotions = itertools.cycle(RAVDESS_CODES)
    plans = []
    for k in range(min(subjects, _ACTORS)):
        takes = []
        for number in range(min(recordings, _MOST)):
            emotion, again = next(emotions), number // len(RAVDESS_CODES)
            sung = emotion in _SUNG and k + 1 != _SILENT and rng.random() < 0.25
            intensity = 1 if emotion == "01" else int(rng.integers(1, 3))
            takes.append(Take(1 + sung, emotion, intensity, 1 + again % 2, 1 + again // 2))
        plans.append(SubjectPlan(f"Actor_{k + 1:02d}", k, tuple(takes)))
    return plans


def scene(rng: np.random.Generator, person: Person, _plan: SubjectPlan) -> Scene:
    """A white wall and even light."""
    wall = rng.uniform(0.75, 0.85)
    return Scene(
        width=640,
        height=360,
        scale=rng.uniform(0.82, 0.95),
        centre=(rng.uniform(0.47, 0.53), rng.uniform(0.42, 0.47)),
        lights=three_point_lights(rng, rng.uniform(0.5, 0.65), 0.3, rng.uniform(0.35, 0.45)),
        ambient=(0.36, 0.36, 0.37),
        backdrop=(wall, wall, wall),
        exposure=auto_exposure(person) * rng.uniform(0.95, 1.1),
        blur=0.4,
        noise=rng.uniform(0.5, 1.2),
        seed=int(rng.integers(2**31)),
    )


def write_recording(
    rng: np.random.Generator, renderer: Renderer, plan: SubjectPlan, take: Take, root: Path
) -> GroundTruth:
    """Write one take below ``root``: without sound, and the copy that has sound in the original."""
    actor, length = plan.number + 1, int(rng.integers(*FRAMES))
    apex = expression.sample_apex(rng, RAVDESS_CODES[take.emotion], STYLE) * _STRENGTH[take.intensity]
    poses = expression.say_sentence(rng, length, apex.clip(0, 5), STYLE, FPS)
    folder, (with_sound, silent, sound) = root / plan.subject, (take.stem(modality, actor) for modality in (1, 2, 3))
    landmarks = recording.write_rendered(folder / f"{silent}.mp4", map(renderer.frame, poses), FPS)
    shutil.copyfile(folder / f"{silent}.mp4", folder / f"{with_sound}.mp4")
    if take == plan.recordings[0]:
        (folder / f"{sound}.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    units = np.stack([pose.units for pose in poses])
    return GroundTruth(plan.subject, silent, RAVDESS_CODES[take.emotion], landmarks, units)
