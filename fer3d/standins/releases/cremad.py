"""The CREMA-D stand-in: actors who say twelve sentences in six emotions.

Layout of https://github.com/CheyneyComputerScience/CREMA-D. As in the original: Flash video of 480 x 360 pixels, names
of four parts, levels for one sentence only, faulty clips of actors 1064 and 1076. Different: 0.8 s instead of 2 to 3 s,
fewer clips, no sound, none of the tables of votes.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer3d.labels import CREMAD_CODES
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
SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
_LEVELS = {"LO": 0.7, "MD": 1.0, "HI": 1.3}
"""Factor on the expression, by level; given for the first sentence only."""
_FAULTY = {1064: ("IEO", "DIS", "MD"), 1076: ("MTI", "SAD", "XX")}
_ACTORS = (1001, *_FAULTY, 1091, *(n for n in range(1002, 1091) if n not in _FAULTY))
"""In the order in which a small stand-in takes them, so that it has some faulty clips."""

STYLE = ExpressionStyle(strength=0.85, textbook=0.25, spread=0.3, sway=2.5, drift=2.5)


@dataclass(frozen=True)
class Clip:
    """One clip of an actor."""

    sentence: str
    emotion: str
    """The code."""
    level: str
    faulty: bool = False

    def stem(self, actor: str) -> str:
        """The file's name without its suffix."""
        return f"{actor}_{self.sentence}_{self.emotion}_{self.level}"


def plan(subjects: int, seed: int, recordings: int) -> list[SubjectPlan]:
    """Plan ``recordings`` clips per actor: emotions in turn, sentences in turn."""
    rng = random_stream("cremad", seed, "plan")
    emotions = itertools.cycle(CREMAD_CODES)
    plans = []
    for k, actor in enumerate(sorted(_ACTORS[:subjects])):
        clips = []
        for number in range(min(recordings, len(SENTENCES) * len(CREMAD_CODES))):
            sentence = SENTENCES[(k + number // len(CREMAD_CODES)) % len(SENTENCES)]
            level = str(rng.choice(list(_LEVELS))) if sentence == SENTENCES[0] else "XX"
            clips.append(Clip(sentence, next(emotions), level))
        if actor in _FAULTY:
            faulty = Clip(*_FAULTY[actor], faulty=True)
            clips = [clip for clip in clips if clip.stem("") != faulty.stem("")] + [faulty]
        plans.append(SubjectPlan(str(actor), k, tuple(clips)))
    return plans


def scene(rng: np.random.Generator, person: Person, _plan: SubjectPlan) -> Scene:
    """A green wall and flat light."""
    green = rng.uniform(0.2, 0.35)
    return Scene(
        width=480,
        height=360,
        scale=rng.uniform(0.8, 0.95),
        centre=(rng.uniform(0.46, 0.54), rng.uniform(0.42, 0.48)),
        lights=three_point_lights(rng, rng.uniform(0.55, 0.75), 0.5, rng.uniform(0.25, 0.35)),
        ambient=(0.35, 0.34, 0.31),
        backdrop=(green * 0.45, green, green * 0.6),
        exposure=auto_exposure(person) * rng.uniform(0.9, 1.2),
        blur=rng.uniform(0.6, 1.0),
        noise=rng.uniform(1.5, 3.0),
        seed=int(rng.integers(2**31)),
    )


def write_recording(
    rng: np.random.Generator, renderer: Renderer, plan: SubjectPlan, clip: Clip, root: Path
) -> GroundTruth:
    """Write one clip below ``root``."""
    length = 3 if clip.faulty else int(rng.integers(*FRAMES))
    label = CREMAD_CODES[clip.emotion]
    apex = expression.sample_apex(rng, label, STYLE) * _LEVELS.get(clip.level, 1.0)
    poses = expression.say_sentence(rng, length, apex.clip(0, 5), STYLE, FPS)
    name = clip.stem(plan.subject)
    landmarks = recording.write_rendered(root / "VideoFlash" / f"{name}.flv", map(renderer.frame, poses), FPS)
    units = np.stack([pose.units for pose in poses])
    return GroundTruth(plan.subject, name, None if clip.faulty else label, landmarks, units, usable=not clip.faulty)
