"""Stand-ins: invented people that detectors find, releases that readers read back exactly, the same bytes each time."""

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer3d import standins
from fer3d.config import ClipSettings
from fer3d.data.faces import Face, detect
from fer3d.data.landmarks import KEPT
from fer3d.errors import InputError
from fer3d.standins.people import acting, head
from fer3d.standins.people import person as people
from fer3d.standins.people.person import UNITS, Pose, neutral
from fer3d.standins.picture import studio
from fer3d.standins.picture.raster import rasterise
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene
from fer3d.standins.releases import ckplus, mmi


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hostile stand-in of CK+, the smallest there is."""
    out = tmp_path_factory.mktemp("releases") / "ckplus"
    standins.write("ckplus", out, subjects=1, seed=5, hostile=True, workers=1)
    return out


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return _renderer("test", 3)


def _renderer(*name: object) -> Renderer:
    who = people.person(*name)
    rng = people.stream("scene", *name)
    return Renderer(who, Scene(lights=studio.lamps(rng, 0.75, 0.3, 0.25), exposure=studio.exposure(who), scale=1.1))


def _pose(yaw: float = 0.0, **units: float) -> Pose:
    shown = neutral()
    for name, value in units.items():
        shown[:, UNITS.index(int(name[2:]))] = value
    return Pose(units=shown, turn=(0.0, yaw, 0.0))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


# --- the head


def test_influence_moves_each_control_point_by_itself() -> None:
    at_landmarks = head.influence()[:60, -68:][:, :60]
    assert np.abs(np.diag(at_landmarks) - 1).max() < 0.2
    assert np.abs(at_landmarks - np.diag(np.diag(at_landmarks))).max() < 0.25


def test_nothing_holds_the_skin_between_the_landmarks_of_a_brow() -> None:
    """What the five of them do together, the brow between them does too: it neither waves nor folds."""
    places, moved = head.places(), head.influence()[17:22, :-68].sum(0).reshape(head.ROWS, head.COLS)
    between = np.concatenate([np.linspace(places[k], places[k + 1], 8) for k in range(17, 21)])
    assert head.sample(moved, between).min() > 0.85


def test_landmarks_are_mirror_images() -> None:
    flat = head.sample(head.template(), head.places()[:68])
    assert np.allclose(flat[head.MIRROR] * [-1, 1, 1], flat, atol=0.05)


def test_z_buffer_shows_the_nearer_surface() -> None:
    """Two sheets one behind the other: the right half of the columns lies nearer."""
    u = np.linspace(0, 1, head.COLS, dtype=np.float32)
    x = u % 0.5 * 400 + 20
    depth = np.where(u < 0.5, 0.0, 50.0)
    y = np.linspace(20, 180, head.ROWS, dtype=np.float32)[:, None]
    for nearer, expected in ((1, True), (-1, False)):
        sheets = np.stack(np.broadcast_arrays(x[None], y, nearer * depth[None]), -1).astype(np.float32)
        places, cover, (left, top) = rasterise(sheets, (200, 200))
        seen = places[100 - top, 60 - left]
        assert cover[100 - top, 60 - left] == 1
        assert (seen[0] > head.COLS / 2) == expected
        assert abs(seen[1] - (100.5 - 20) / 160 * (head.ROWS - 1)) < 0.5


@pytest.mark.parametrize("yaw", [-40, -20, 0, 20, 40])
def test_a_turned_head_has_no_holes(renderer: Renderer, yaw: float) -> None:
    grid, _, _ = renderer._posed(_pose(yaw))
    _, cover, _ = rasterise(renderer._project(grid, _pose(yaw))[1], (490, 640))
    holes = cv2.morphologyEx((cover > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)) - (cover > 0.5)
    assert holes.sum() < 0.002 * (cover > 0.5).sum()


# --- people


def test_a_person_follows_from_the_name_alone() -> None:
    first, again, other = (people.person("x", k) for k in (1, 1, 2))
    assert first.skin == again.skin and np.array_equal(first.shape, again.shape)
    assert first.skin != other.skin


def test_people_span_a_wide_range() -> None:
    crowd = [people.person("crowd", k) for k in range(200)]
    light = [sum(who.skin) / 3 for who in crowd]
    assert min(light) < 0.09 and max(light) > 0.5
    assert min(who.age for who in crowd) < 20 and max(who.age for who in crowd) > 68
    assert {who.style for who in crowd} == set(people.STYLES)
    assert {who.beard for who in crowd} == set(people.BEARDS)
    assert {who.glasses for who in crowd} == set(people.GLASSES)


@pytest.mark.parametrize(
    ("unit", "above", "below", "grows"),
    [(1, 21, 39, True), (2, 18, 36, True), (4, 21, 39, False), (5, 37, 41, True), (7, 37, 41, False),
     (26, 62, 66, True), (27, 62, 66, True), (10, 51, 33, False), (15, 48, 36, True), (12, 48, 36, False)],
)  # fmt: skip
def test_units_move_landmarks_the_right_way(renderer: Renderer, unit: int, above: int, below: int, grows: bool) -> None:
    def distance(pose: Pose) -> float:
        marks = renderer.frame(pose)[1]
        return float(abs(marks[below, 1] - marks[above, 1]))

    change = distance(_pose(**{f"au{unit}": 5})) - distance(_pose())
    assert change > 2 if grows else change < -2


def test_points_follow_mouth_and_brows() -> None:
    """Over several people: an opening mouth and rising brows are found, at least two thirds of them."""
    changes = []
    for k in range(4):
        renderer, found = _renderer("follow", k), []
        for pose in (_pose(), _pose(au1=4, au2=3, au25=3, au26=3)):
            picture, truth = renderer.frame(pose)
            face = detect(picture, ClipSettings())
            assert face is not None
            full = np.zeros((68, 2))
            full[KEPT] = face.landmarks
            found.append(
                [(marks[66, 1] - marks[62, 1], marks[27, 1] - marks[19:25, 1].mean()) for marks in (truth, full)]
            )
        changes.append(np.subtract(found[1], found[0]))
    true, seen = np.mean(changes, axis=0)
    assert (true > 4).all() and (seen > true * 2 / 3).all()


def test_sides_move_apart(renderer: Renderer) -> None:
    shown = neutral()
    shown[0, UNITS.index(12)] = 4
    change = renderer.frame(Pose(units=shown))[1] - renderer.frame(_pose())[1]
    assert change[48, 1] < -4 and abs(change[54, 1]) < 0.5


def test_lips_never_cross(renderer: Renderer) -> None:
    marks = renderer.frame(_pose(au17=5, au23=5, au25=2))[1]
    assert (marks[[65, 66, 67], 1] - marks[[63, 62, 61], 1] > -0.3).all()


def test_a_blink_closes_the_eyes(renderer: Renderer) -> None:
    marks = renderer.frame(Pose(units=neutral(), blink=1.0))[1]
    assert (marks[[41, 40, 47, 46], 1] - marks[[37, 38, 43, 44], 1]).max() < 1.5


def test_detectors_find_the_points() -> None:
    """Over several people: within 8 % of the inter-ocular distance on average (typically 3.5 %)."""
    errors = []
    for k in range(4):
        picture, truth = _renderer("found", k).frame(_pose(yaw=8.0 * (k - 1.5), au12=2))
        face = detect(picture, ClipSettings())
        assert isinstance(face, Face), f"person {k}"
        iod = np.linalg.norm(truth[45] - truth[36])
        errors.append(np.linalg.norm(face.landmarks - truth[KEPT], axis=1).mean() / iod)
    assert np.mean(errors) < 0.08


# --- acting


def test_courses() -> None:
    rng = np.random.default_rng(0)
    for frames in (6, 10, 25):
        rise = acting.rise(rng, frames)
        assert rise[0] == 0 and rise[-1] == 1 and (np.diff(rise) >= 0).all()
    hump = acting.hump(rng, 40)
    assert hump[0] == hump[-1] == 0 and hump.max() == 1


def test_nothing_but_the_expression_depends_on_the_emotion() -> None:
    """With the same random numbers, head, gaze, blinks and the first frame are the same whatever is shown."""

    def perform(shown: np.ndarray) -> list[Pose]:
        return acting.perform(
            np.random.default_rng(4), acting.rise(np.random.default_rng(5), 12), shown, acting.Manner(), 30
        )

    one, other = (
        perform(acting.apex(np.random.default_rng(6), name, acting.Manner())) for name in ("anger", "surprise")
    )
    assert [p.turn for p in one] == [p.turn for p in other] and [p.gaze for p in one] == [p.gaze for p in other]
    assert [p.blink for p in one] == [p.blink for p in other]
    assert np.abs(one[0].units - other[0].units).max() < 0.5 < np.abs(one[-1].units - other[-1].units).max()


def test_expressions_are_not_one_recipe() -> None:
    rng = np.random.default_rng(1)
    shown = np.stack([acting.apex(rng, "fear", acting.Manner()).mean(0) for _ in range(60)])
    present = (shown > 0.6).mean(0)
    assert present.max() < 0.99
    assert (present > 0.02).sum() > 9  # foreign units and blends
    assert np.std(shown.sum(1)) > 0.15 * shown.sum(1).mean()


# --- releases


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        standins.write("ckplus", tmp_path / name, subjects=2, seed=9, workers=workers)
    assert _digest(tmp_path / "one") == _digest(tmp_path / "two")
    assert _digest(tmp_path / "one.truth" / "subjects") == _digest(tmp_path / "two.truth" / "subjects")


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    code = "import pathlib, fer3d.standins as s; s.write('ckplus', pathlib.Path('{}'), 2, seed=2, workers=1)"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen([sys.executable, "-c", code.format(killed)]) as process:
        while not list((tmp_path / "killed.truth" / "subjects").glob("*.json")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    first = next((tmp_path / "killed.truth" / "subjects").glob("*.json"))
    before = first.stat().st_mtime_ns
    standins.write("ckplus", killed, 2, seed=2, workers=1)
    standins.write("ckplus", whole, 2, seed=2, workers=1)
    assert first.stat().st_mtime_ns == before, "a finished subject was drawn again"
    assert _digest(killed) == _digest(whole)


def test_a_finished_release_is_left_alone_and_a_foreign_folder_too(release: Path, tmp_path: Path) -> None:
    image = next(release.rglob("*.png"))
    before = image.stat().st_mtime_ns
    standins.write("ckplus", release, subjects=1, seed=5, hostile=True, workers=1)
    assert image.stat().st_mtime_ns == before
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="holds other things"):
        standins.write("ckplus", tmp_path, subjects=1)
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("subjects", [1, 12, 60, 118])
def test_ckplus_keeps_the_imbalance(subjects: int) -> None:
    jobs = ckplus.jobs(subjects, 0, 3)
    assert len({job.subject for job in jobs}) == subjects
    told = [emotion for job in jobs for emotion, labelled in job.emotions if labelled]
    for name, count in ckplus.PUBLISHED.items():
        assert told.count(name) == max(1, round(count * subjects / 118))


def test_mmi_films_in_every_way_and_every_emotion_alike() -> None:
    jobs = mmi.jobs(20, 0, 6)
    assert {job.view.strip() for job in jobs} == {"0", "1", "2"}
    numbers = [session.number for job in jobs for session in job.sessions]
    assert len(set(numbers)) == len(numbers)


def test_bad_wishes() -> None:
    with pytest.raises(InputError, match="at least 1"):
        standins.write("ckplus", Path("nowhere"), subjects=0)
    with pytest.raises(InputError, match="0 recordings"):
        standins.write("mmi", Path("nowhere"), subjects=1, recordings=0)
    with pytest.raises(InputError, match="ckplus"):
        standins.write("fer2013", Path("nowhere"), subjects=1)
