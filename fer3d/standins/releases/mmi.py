"""The stand-in of MMI: posed, onset to apex to offset, one video a session, several views.

Mimics a download of the MMI Facial Expression Database (Section 4.1 of the paper):
``Sessions/<number>/`` with ``session.xml``, a video, its metatags and, for some, action
units with onset, apex and offset. Kept: subjects filmed lying on the side (720 x 576),
upright ones (640 x 480), dual views through a mirror, profile-only sessions, emotion codes
above 6, sessions without an emotion. Departs: only the stem of a face is profile here, a
head turned by 75 degrees; nobody shows an emotion twice; recordings are half as long as the
original's, so that each of their tens shows the expression come or go.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from fer3d.labels import MMI_CODES
from fer3d.standins.people import acting
from fer3d.standins.people import person as people
from fer3d.standins.picture import studio

FPS = 24
FRAMES = (20, 30)
"""Frames of a recording: at least, and fewer than."""
_CODES = {name: code for code, name in MMI_CODES.items()}
_OTHER_CODES = (7, 8, 9)
"""Scream, bored, sleepy: read by nobody as an emotion of the paper."""

MANNER = acting.Manner(strength=1.0, textbook=0.3, sway=1.2, drift=1.5)

# How a subject was filmed, with the numbers that the original gives such subjects.
_DUAL, _PROFILE, _LYING, _UPRIGHT = "2", "1", "0", "0 "
_NUMBERS = {_DUAL: (1, 2, 3, 5, 15, 16), _PROFILE: (21,), _LYING: (28, *range(30, 51)), _UPRIGHT: (53, 54)}
_RIGHT_HALF = (1, 2)
"""Dual-view subjects whose frontal half lies on the right."""


@dataclass(frozen=True)
class Session:
    """One folder of ``Sessions``."""

    number: int
    clip: int
    """Number in the file's stem."""
    emotion: str
    code: int | None
    """The Emotion metatag; None where the session has none."""


@dataclass(frozen=True)
class Job:
    """One subject: what one worker writes."""

    subject: str
    seed: int
    number: int
    view: str
    sessions: tuple[Session, ...]


def jobs(subjects: int, seed: int, recordings: int) -> list[Job]:
    """Who is filmed how, and shows which ``recordings`` of the six emotions, dealt in turn.

    Session numbers have gaps and no order over subjects.
    """
    rng = people.stream("mmi", seed, "plan")
    views = _views(rng, subjects)
    numbers = rng.choice(np.arange(2, 40 * subjects + 2), subjects * (len(_CODES) + 3), replace=False).tolist()
    emotions = itertools.cycle(_CODES)
    made = []
    for k, (stem, view) in enumerate(views):
        shown = list(itertools.islice(emotions, min(recordings, 2 if view == _PROFILE else len(_CODES))))
        sessions: list[tuple[str, int | None]] = [(name, _CODES[name]) for name in shown]
        if rng.random() < 0.25:
            sessions.append((str(rng.choice(list(_CODES))), int(rng.choice(_OTHER_CODES))))
        if rng.random() < 0.25:
            sessions.append((str(rng.choice(list(_CODES))), None))
        order = rng.permutation(len(sessions))
        clips = sorted(rng.choice(np.arange(1, 140), len(sessions), replace=False).tolist())
        made.append(
            Job(
                f"S{stem:03d}",
                seed,
                k,
                view,
                tuple(Session(numbers.pop(), clips[i], *sessions[order[i]]) for i in range(len(sessions))),
            )
        )
    return made


def _views(rng: np.random.Generator, subjects: int) -> list[tuple[int, str]]:
    """Subject numbers with their view: mostly lying, some upright, few dual or in profile."""
    shares = {_LYING: 0.66, _UPRIGHT: 0.12, _DUAL: 0.17, _PROFILE: 0.05}
    views = [view for view, share in shares.items() for _ in range(round(share * subjects))]
    views = (views + [_LYING] * subjects)[:subjects]
    free = {view: list(numbers) for view, numbers in _NUMBERS.items()}
    beyond = iter(range(60, 1000))
    return sorted((free[view].pop(0) if free[view] else next(beyond), view) for view in views)


def write_job(job: Job, root: Path) -> list[studio.Meant]:
    """Write one subject's sessions below ``root``."""
    rng = people.stream("mmi", job.seed, job.subject)
    who = people.person("mmi", job.seed, job.number)
    blue = rng.uniform(0.25, 0.6)
    scene = studio.Scene(
        width={_UPRIGHT: 640, _DUAL: 360}.get(job.view, 576),
        height={_UPRIGHT: 480, _DUAL: 576}.get(job.view, 720),
        scale=float({_UPRIGHT: 1.0, _DUAL: 1.1}.get(job.view, 1.3) * rng.uniform(0.92, 1.08)),
        centre=(0.5, float(rng.uniform(0.42, 0.47))),
        lights=studio.lamps(rng, float(rng.uniform(0.5, 0.7)), 0.45, float(rng.uniform(0.25, 0.45))),
        ambient=(0.34, 0.33, 0.31),
        backdrop=(blue * 0.35, blue * 0.55, blue),
        exposure=studio.exposure(who) * float(rng.uniform(0.95, 1.3)),
        blur=float(rng.uniform(0.7, 1.2)),
        noise=float(rng.uniform(1.0, 2.5)),
        seed=int(rng.integers(2**31)),
    )
    renderer = studio.Renderer(who, scene)
    return [_session(renderer, rng, root, job, session) for session in job.sessions]


def _session(
    renderer: studio.Renderer, rng: np.random.Generator, root: Path, job: Job, session: Session
) -> studio.Meant:
    frames = int(rng.integers(*FRAMES))
    course = acting.hump(rng, frames)
    shown = acting.apex(rng, session.emotion, MANNER)
    poses = acting.perform(rng, course, shown, MANNER, fps=FPS, yaw=-75.0 if job.view == _PROFILE else 0.0)
    stem = f"{job.subject}-{session.clip:03d}"
    folder = root / "Sessions" / str(session.number)
    folder.mkdir(parents=True, exist_ok=True)
    points: list[np.ndarray] = []
    pictures = _stored(renderer, poses, job, points)
    studio.write_video(folder / f"{stem}.avi", pictures, FPS)
    units = np.stack([pose.units for pose in poses])
    (folder / "session.xml").write_text(_session_xml(job, session, stem))
    (folder / f"{stem}.xml").write_text(_metatags_xml(session, stem))
    coded = _coded(units) if rng.random() < 0.6 else {}
    if coded:
        (folder / f"{stem}-oao_aucs.xml").write_text(_units_xml(coded, stem))
    why = _left_out(job, session)
    return studio.Meant(
        job.subject,
        stem,
        None if why else session.emotion,
        session.emotion,
        np.stack(points),
        units,
        tuple((unit, 0.0) for unit in sorted({int(name.rstrip("LR")) for name in coded})),
        left_out=studio.LeftOut(f"{session.number}/{stem}.avi", why) if why else None,
    )


def _left_out(job: Job, session: Session) -> str:
    """Why a session can't be used; empty where it can."""
    if session.code is None:
        return "no Emotion tag"
    if session.code not in MMI_CODES:
        return f"emotion code '{session.code}'"
    return "profile view only" if job.view == _PROFILE else ""


def _stored(
    renderer: studio.Renderer, poses: list[people.Pose], job: Job, points: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """The frames as the release holds them: lying, upright, or beside the mirror's profile; truth to ``points``."""
    beside = [dataclasses.replace(pose, turn=(pose.turn[0], pose.turn[1] - 75.0, pose.turn[2])) for pose in poses]
    for pose, profile in zip(poses, beside, strict=True):
        picture, marks = renderer.frame(pose)
        points.append(marks)
        if job.view == _LYING:
            picture = np.rot90(picture, 1)  # turned by 90 degrees clockwise it stands upright
        elif job.view == _PROFILE:
            picture = np.rot90(picture, -1)
        elif job.view == _DUAL:
            mirrored = renderer.frame(profile)[0][:, ::-1]
            frontal_right = int(job.subject[1:]) in _RIGHT_HALF
            picture = np.hstack([mirrored, picture] if frontal_right else [picture, mirrored])
        yield np.ascontiguousarray(picture)


def _session_xml(job: Job, session: Session, stem: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<session sessionId="{session.number}">\n'
        f' <subject id="{int(job.subject[1:])}"/>\n'
        f' <track trackNum="0" type="Video" filename={quoteattr(stem + ".avi")} view="{job.view.strip()}">\n'
        f"  <annotation type={quoteattr('AUCS')} filename={quoteattr(stem + '-oao_aucs.xml')}/>\n"
        " </track>\n</session>\n"
    )


def _metatags_xml(session: Session, stem: str) -> str:
    tags = {"SessionId": session.number, "Filename": f"{stem}.avi"}
    if session.code is not None:
        tags["Emotion"] = session.code
    rows = "".join(f' <Metatag Name="{name}" Value={quoteattr(str(value))}/>\n' for name, value in tags.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Metatags>\n{rows}</Metatags>\n'


def _coded(units: np.ndarray) -> dict[str, list[tuple[int, int]]]:
    """Every unit that showed, by number and side, with its `_markers`."""
    sides = (pair for k, unit in enumerate(people.UNITS) for pair in _sides(unit, units[:, :, k]))
    return {name: marks for name, course in sides if (marks := _markers(course))}


def _units_xml(coded: dict[str, list[tuple[int, int]]], stem: str) -> str:
    """The units with the frames (from 1) of their onset, apex, offset and return to rest."""
    rows = []
    for name, marks in coded.items():
        lines = "".join(f'  <Marker Frame="{frame}" Type="{kind}"/>\n' for frame, kind in marks)
        rows.append(f' <ActionUnit Number="{name}">\n{lines} </ActionUnit>\n')
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Annotation Filename={quoteattr(stem + ".avi")}>\n'
        + "".join(rows)
        + "</Annotation>\n"
    )


def _sides(unit: int, course: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """One track where both sides move alike, else the stronger side with its letter (the subject's own left)."""
    left, right = course.max(0)
    if abs(left - right) < 0.5 * max(left, right, 0.1):
        return [(str(unit), course.mean(1))]
    return [(f"{unit}R", course[:, 0])] if left > right else [(f"{unit}L", course[:, 1])]


def _markers(course: np.ndarray) -> list[tuple[int, int]] | None:
    """(frame, type) with types 0 neutral, 1 onset, 2 apex, 3 offset; None for a unit that hardly moved."""
    start, top = float(course[0]), float(course.max())
    if top - start < 0.8:
        return None
    moving = np.flatnonzero(course > start + 0.1 * (top - start))
    strong = np.flatnonzero(course > start + 0.9 * (top - start))
    marks = [
        (1, 0),
        (int(moving[0]) + 1, 1),
        (int(strong[0]) + 1, 2),
        (int(strong[-1]) + 2, 3),
        (int(moving[-1]) + 2, 0),
    ]
    return [(frame, kind) for frame, kind in marks if frame <= len(course)]
