"""A rendered person in front of a camera: the recording of `fer3d demo` and of notebook 07. Nobody real is shown."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from fer3d import files, program
from fer3d.standins.people.expression import ExpressionStyle, animate, sample_apex
from fer3d.standins.people.person import make_person, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.standins.releases.recording import write_video

FRAME_RATE = 30.0
_TIMES, _COURSE = (0.0, 0.7, 1.1, 2.1, 2.5, 3.2), (0, 0, 1, 1, 0, 0)
"""Seconds, and the intensity of the expression then: at rest, onset, held apex, offset, at rest."""


def render_person(path: Path, emotion: str = "happiness", who: int = 0) -> Path:
    """Write a video of 3.2 s in which a person shows an emotion, holds it and returns to rest; returns its path.

    Beside it a ``.json`` file says of what it was made. While that is the same, the video is left as it is.

    Args:
        path: an ``.avi`` file; 640 x 480 pixels, 30 frames a second.
        emotion: one of `labels.EMOTIONS`.
        who: the same number gives the same person and the same bytes.
    """
    made_of, note = {"emotion": emotion, "who": who, "program": program.digest(__name__)}, path.with_suffix(".json")
    if path.exists() and note.exists() and files.read_json(note) == made_of:
        return path
    note.unlink(missing_ok=True)
    rng, person = random_stream("demo", emotion, who), make_person("demo", who)
    lights = three_point_lights(rng, 0.75, 0.3, 0.25)
    scene = Scene(
        640,
        480,
        scale=1.0,
        lights=lights,
        backdrop=(0.16, 0.2, 0.26),
        exposure=auto_exposure(person),
        noise=0.5,
        seed=who,
    )
    course = np.interp(np.arange(0, _TIMES[-1], 1 / FRAME_RATE), _TIMES, _COURSE)
    manner = ExpressionStyle(textbook=1.0, drop=0.0, blend=0.0, foreign=0.0, spread=0.0)
    poses = animate(rng, course, sample_apex(rng, emotion, manner), manner, FRAME_RATE)
    renderer = Renderer(person, scene)
    shown = tqdm(poses, "rendering", unit="frame", disable=None, leave=False)
    with files.atomic(path.with_suffix(".avi")) as temporary:
        whole = temporary.with_name(f"{temporary.name}.avi")  # OpenCV takes the container from the suffix
        write_video(whole, (renderer.frame(pose)[0] for pose in shown), FRAME_RATE)
        whole.replace(temporary)
    files.write_json(note, made_of)
    return path
