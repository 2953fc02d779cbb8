"""The MMI stand-in: posed, onset to apex to offset, one video per session, several views.

Layout of a download of the MMI Facial Expression Database (Section 4.1 of the paper):
``Sessions/<number>/`` with ``session.xml``, a video, its metatags and, for some, action units
with onset, apex and offset. As in the original: videos stored lying on the side (720 x 576),
upright ones (640 x 480), dual views through a mirror, profile-only sessions, emotion codes above
6, sessions without an emotion. Different: profiles are heads turned by 75 degrees; nobody shows
an emotion twice; recordings are half as long, so that their ten-frame clips show the onset or the
offset, hardly any of them the apex alone, and the onset takes half of a recording. Most clips rise, some rise
and fall, few only fall, all with the same label.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer3d.labels import MMI_CODES
from fer3d.standins.people import expression
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import ACTION_UNITS, Person, Pose, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, auto_exposure, three_point_lights
from fer3d.standins.releases import recording
from fer3d.standins.releases.recording import GroundTruth, SubjectPlan

FPS = 24
FRAMES = (24, 31)
"""Length of a recording: at least, and less than."""
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CODES = {name: code for code, name in MMI_CODES.items()}
_OTHER_CODES = (7, 8, 9)
"""Scream, bored, sleepy: not emotions of the paper."""

STYLE = ExpressionStyle(strength=1.0, textbook=0.5, foreign=0.5, sway=1.2, drift=1.5)

DUAL, PROFILE, LYING, UPRIGHT = "dual", "profile", "lying", "upright"
"""How a subject is filmed."""
_VIEW_CODES = {DUAL: "2", PROFILE: "1", LYING: "0", UPRIGHT: "0"}
"""The ``view`` attribute of a subject's sessions."""
_NUMBERS = {DUAL: (1, 2, 3, 5, 15, 16), PROFILE: (21,), LYING: (28, *range(30, 51)), UPRIGHT: (53, 54)}
"""The original's subject numbers, by view."""
_BEYOND = range(60, 1000)
"""Numbers of further subjects: they have three digits."""
_MOST = sum(map(len, _NUMBERS.values())) + len(_BEYOND)
_RIGHT_HALF = (1, 2)
"""Dual-view subjects whose frontal half is on the right."""
_ASIDE = -75.0
"""Yaw of a head in profile, degrees."""


@dataclass(frozen=True)
class Session:
    """One folder of ``Sessions``."""

    number: int
    clip: int
    """Number in the video's name."""
    emotion: str
    code: int | None
    """The Emotion metatag; None where the session has none."""


@dataclass(frozen=True)
class Plan(SubjectPlan):
    """A subject and the view in which it is filmed."""

    view: str


def plan(subjects: int, seed: int, recordings: int) -> list[Plan]:
    """Plan each subject's view and ``recordings`` of the six emotions, taken in turn.

    Session numbers have gaps and are not ordered by subject.
    """
    subjects = min(subjects, _MOST)
    rng = random_stream("mmi", seed, "plan")
    views = _views(rng, subjects)
    numbers = rng.choice(np.arange(2, 40 * subjects + 2), subjects * (len(_CODES) + 3), replace=False).tolist()
    emotions = itertools.cycle(_CODES)
    plans = []
    for k, (stem, view) in enumerate(views):
        shown = list(itertools.islice(emotions, min(recordings, 2 if view == PROFILE else len(_CODES))))
        sessions: list[tuple[str, int | None]] = [(name, _CODES[name]) for name in shown]
        if rng.random() < 0.25:
            sessions.append((str(rng.choice(list(_CODES))), int(rng.choice(_OTHER_CODES))))
        if rng.random() < 0.25:
            sessions.append((str(rng.choice(list(_CODES))), None))
        order = rng.permutation(len(sessions))
        clips = sorted(rng.choice(np.arange(1, 140), len(sessions), replace=False).tolist())
        numbered = tuple(Session(numbers.pop(), clips[i], *sessions[order[i]]) for i in range(len(sessions)))
        plans.append(Plan(f"S{stem:03d}", k, numbered, view))
    return plans


def _views(rng: np.random.Generator, subjects: int) -> list[tuple[int, str]]:
    """Subject numbers and views: mostly lying, some upright, few dual or in profile."""
    shares = {LYING: 0.66, UPRIGHT: 0.12, DUAL: 0.17, PROFILE: 0.05}
    views = [view for view, share in shares.items() for _ in range(round(share * subjects))]
    views = (views + [LYING] * subjects)[:subjects]
    free = {view: list(numbers) for view, numbers in _NUMBERS.items()}
    beyond = iter(_BEYOND)
    return sorted((free[view].pop(0) if free[view] else next(beyond), view) for view in views)


def scene(rng: np.random.Generator, person: Person, plan: Plan) -> Scene:
    """A blue wall; the size of the picture depends on the view."""
    blue = rng.uniform(0.25, 0.6)
    return Scene(
        width={UPRIGHT: 640, DUAL: 360}.get(plan.view, 576),
        height={UPRIGHT: 480, DUAL: 576}.get(plan.view, 720),
        scale=float({UPRIGHT: 1.0, DUAL: 1.1}.get(plan.view, 1.3) * rng.uniform(0.92, 1.08)),
        centre=(0.5, rng.uniform(0.42, 0.47)),
        lights=three_point_lights(rng, rng.uniform(0.5, 0.7), 0.45, rng.uniform(0.25, 0.45)),
        ambient=(0.34, 0.33, 0.31),
        backdrop=(blue * 0.35, blue * 0.55, blue),
        exposure=auto_exposure(person) * rng.uniform(0.95, 1.3),
        blur=rng.uniform(0.7, 1.2),
        noise=rng.uniform(1.0, 2.5),
        seed=int(rng.integers(2**31)),
    )


def write_recording(
    rng: np.random.Generator, renderer: Renderer, plan: Plan, session: Session, root: Path
) -> GroundTruth:
    """Write one session's folder below ``root``."""
    length = int(rng.integers(*FRAMES))
    course = expression.onset_apex_offset(rng, length, expression.GRADUAL)
    apex = expression.sample_apex(rng, session.emotion, STYLE)
    poses = expression.animate(rng, course, apex, STYLE, fps=FPS, yaw=_ASIDE if plan.view == PROFILE else 0.0)
    stem = f"{plan.subject}-{session.clip:03d}"
    folder = root / "Sessions" / str(session.number)
    landmarks = recording.write_rendered(folder / f"{stem}.avi", _stored_frames(renderer, poses, plan), FPS)
    units = np.stack([pose.units for pose in poses])
    (folder / "session.xml").write_text(_session_xml(plan, session, stem))
    (folder / f"{stem}.xml").write_text(_metatags_xml(session, stem))
    coded = _coded_units(units) if rng.random() < 0.6 else {}
    if coded:
        (folder / f"{stem}-oao_aucs.xml").write_text(_units_xml(coded, stem))
    usable = session.code in MMI_CODES and plan.view != PROFILE
    return GroundTruth(
        plan.subject,
        stem,
        session.emotion if usable else None,
        landmarks,
        units,
        tuple((unit, 0.0) for unit in sorted({int(name.rstrip("LR")) for name in coded})),
        usable=usable,
    )


def _stored_frames(renderer: Renderer, poses: list[Pose], plan: Plan) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The frames as stored (lying, upright, or beside a mirrored profile), each with its true landmarks."""
    profiles = [dataclasses.replace(pose, turn=(pose.turn[0], pose.turn[1] + _ASIDE, pose.turn[2])) for pose in poses]
    for pose, profile in zip(poses, profiles, strict=True):
        frame, true = renderer.frame(pose)
        if plan.view == LYING:
            frame = cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE)  # a turn clockwise makes it upright again
        elif plan.view == PROFILE:
            frame = cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE)
        elif plan.view == DUAL:
            mirrored = cv2.flip(renderer.frame(profile)[0], 1)
            frontal_right = int(plan.subject[1:]) in _RIGHT_HALF
            frame = np.hstack([mirrored, frame] if frontal_right else [frame, mirrored])
        yield frame, true


def _session_xml(plan: Plan, session: Session, stem: str) -> str:
    return (
        f'{_XML}<session sessionId="{session.number}">\n'
        f' <subject id="{int(plan.subject[1:])}"/>\n'
        f' <track trackNum="0" type="Video" filename="{stem}.avi" view="{_VIEW_CODES[plan.view]}">\n'
        f'  <annotation type="AUCS" filename="{stem}-oao_aucs.xml"/>\n'
        " </track>\n</session>\n"
    )


def _metatags_xml(session: Session, stem: str) -> str:
    tags = {"SessionId": session.number, "Filename": f"{stem}.avi"}
    if session.code is not None:
        tags["Emotion"] = session.code
    rows = "".join(f' <Metatag Name="{name}" Value="{value}"/>\n' for name, value in tags.items())
    return f"{_XML}<Metatags>\n{rows}</Metatags>\n"


def _coded_units(units: np.ndarray) -> dict[str, list[tuple[int, int]]]:
    """The action units that occur, by number and side, with their `_markers`."""
    sides = (pair for k, unit in enumerate(ACTION_UNITS) for pair in _sides(unit, units[:, :, k]))
    return {name: marks for name, course in sides if (marks := _markers(course))}


def _units_xml(coded: dict[str, list[tuple[int, int]]], stem: str) -> str:
    """The action units with the frames (from 1) of their onset, apex, offset and return to rest."""
    rows = []
    for name, marks in coded.items():
        lines = "".join(f'  <Marker Frame="{frame}" Type="{kind}"/>\n' for frame, kind in marks)
        rows.append(f' <ActionUnit Number="{name}">\n{lines} </ActionUnit>\n')
    return "".join([f'{_XML}<Annotation Filename="{stem}.avi">\n', *rows, "</Annotation>\n"])


def _sides(unit: int, course: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """One course where both sides move alike, else that of the stronger side with its letter (the subject's left)."""
    left, right = course.max(0)
    if abs(left - right) < 0.5 * max(left, right, 0.1):
        return [(str(unit), course.mean(1))]
    return [(f"{unit}R", course[:, 0])] if left > right else [(f"{unit}L", course[:, 1])]


def _markers(course: np.ndarray) -> list[tuple[int, int]] | None:
    """(frame, type) with types 0 neutral, 1 onset, 2 apex, 3 offset; None for a unit that hardly moves."""
    start, top = float(course[0]), float(course.max())
    if top - start < 0.8:
        return None
    moving = np.flatnonzero(course > start + 0.1 * (top - start))
    strong = np.flatnonzero(course > start + 0.9 * (top - start))
    frames = (0, moving[0], strong[0], strong[-1] + 1, moving[-1] + 1)
    return [(int(frame) + 1, kind) for frame, kind in zip(frames, (0, 1, 2, 3, 0), strict=True) if frame < len(course)]
