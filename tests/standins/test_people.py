"""Synthetic people: the template head deforms as intended, people vary, and expressions follow no single recipe."""

from collections.abc import Callable

import numpy as np
import pytest

from fer3d.config import ClipSettings
from fer3d.data.face_fit import Face
from fer3d.data.faces import detect
from fer3d.data.landmarks import KEPT, MIRROR_68
from fer3d.standins.people import expression, head
from fer3d.standins.people.expression import ExpressionStyle
from fer3d.standins.people.person import ACTION_UNITS, BEARDS, GLASSES, HAIR_STYLES, Pose, make_person, neutral_units
from fer3d.standins.picture.render import Renderer


def pose(yaw: float = 0.0, **units: float) -> Pose:
    """A pose with action units at intensities, for example ``au12=4``, on both sides."""
    intensities = neutral_units()
    for name, value in units.items():
        intensities[:, ACTION_UNITS.index(int(name[2:]))] = value
    return Pose(units=intensities, turn=(0.0, yaw, 0.0))


def test_a_brow_moves_as_a_whole_with_its_five_landmarks() -> None:
    """Between them it neither waves nor folds."""
    positions, moved = head.grid_positions(), head.influence()[17:22, :-68].sum(0).reshape(head.ROWS, head.COLS)
    between = np.concatenate([np.linspace(positions[k], positions[k + 1], 8) for k in range(17, 21)])
    assert head.sample(moved, between).min() > 0.85


def test_landmarks_are_mirror_images() -> None:
    flat = head.sample(head.template(), head.grid_positions()[:68])
    assert np.allclose(flat[MIRROR_68] * [-1, 1, 1], flat, atol=0.05)


def test_people_span_a_wide_range() -> None:
    crowd = [make_person("crowd", k) for k in range(200)]
    light = [sum(person.skin) / 3 for person in crowd]
    assert min(light) < 0.09 and max(light) > 0.5
    assert min(person.age for person in crowd) < 20 and max(person.age for person in crowd) > 68
    assert {person.style for person in crowd} == set(HAIR_STYLES)
    assert {person.beard for person in crowd} == set(BEARDS)
    assert {person.glasses for person in crowd} == set(GLASSES)


@pytest.mark.parametrize(
    ("unit", "above", "below", "grows"),
    [(1, 21, 39, True), (2, 18, 36, True), (4, 21, 39, False), (5, 37, 41, True), (7, 37, 41, False),
     (26, 62, 66, True), (27, 62, 66, True), (10, 51, 33, False), (15, 48, 36, True), (12, 48, 36, False)],
)  # fmt: skip
def test_units_move_landmarks_the_right_way(renderer: Renderer, unit: int, above: int, below: int, grows: bool) -> None:
    def distance(pose: Pose) -> float:
        landmarks = renderer.frame(pose)[1]
        return float(abs(landmarks[below, 1] - landmarks[above, 1]))

    change = distance(pose(**{f"au{unit}": 5})) - distance(pose())
    assert change > 2 if grows else change < -2


def test_detected_landmarks_follow_mouth_and_brows(make_renderer: Callable[..., Renderer]) -> None:
    """Over several people, at least two thirds of an opening mouth and of rising brows are detected."""
    changes = []
    for k in range(4):
        renderer, found = make_renderer("follow", k), []
        for shown in (pose(), pose(au1=4, au2=3, au25=3, au26=3)):
            picture, truth = renderer.frame(shown)
            face = detect(picture, ClipSettings())
            assert face is not None
            full = np.zeros((68, 2))
            full[KEPT] = face.landmarks
            found.append([(at[66, 1] - at[62, 1], at[27, 1] - at[19:25, 1].mean()) for at in (truth, full)])
        changes.append(np.subtract(found[1], found[0]))
    true, seen = np.mean(changes, axis=0)
    assert (true > 4).all() and (seen > true * 2 / 3).all()


def test_detectors_find_the_landmarks(make_renderer: Callable[..., Renderer]) -> None:
    """Over several people: within 8 % of the inter-ocular distance on average (typically 3.5 %)."""
    errors = []
    for k in range(4):
        picture, truth = make_renderer("found", k).frame(pose(yaw=8.0 * (k - 1.5), au12=2))
        face = detect(picture, ClipSettings())
        assert isinstance(face, Face), f"person {k}"
        iod = np.linalg.norm(truth[45] - truth[36])
        errors.append(np.linalg.norm(face.landmarks - truth[KEPT], axis=1).mean() / iod)
    assert np.mean(errors) < 0.08


def test_the_two_sides_of_a_face_move_independently(renderer: Renderer) -> None:
    units = neutral_units()
    units[0, ACTION_UNITS.index(12)] = 4
    change = renderer.frame(Pose(units=units))[1] - renderer.frame(pose())[1]
    assert change[48, 1] < -4 and abs(change[54, 1]) < 0.5


def test_lips_never_cross(renderer: Renderer) -> None:
    landmarks = renderer.frame(pose(au17=5, au23=5, au25=2))[1]
    assert (landmarks[[65, 66, 67], 1] - landmarks[[63, 62, 61], 1] > -0.3).all()


def test_a_blink_closes_the_eyes(renderer: Renderer) -> None:
    landmarks = renderer.frame(Pose(units=neutral_units(), blink=1.0))[1]
    assert (landmarks[[41, 40, 47, 46], 1] - landmarks[[37, 38, 43, 44], 1]).max() < 1.5


def test_courses_start_and_end_as_their_names_say() -> None:
    rng = np.random.default_rng(0)
    for frames in (6, 10, 25):
        course = expression.onset_to_apex(rng, frames)
        assert course[0] == 0 and course[-1] == 1 and (np.diff(course) >= 0).all()
    course = expression.onset_apex_offset(rng, 40)
    assert course[0] == course[-1] == 0 and course.max() == 1


def test_nothing_but_the_expression_depends_on_the_emotion() -> None:
    """With the same random numbers, head, gaze, blinks and the first frame are the same for any emotion."""
    style = ExpressionStyle()

    def poses(emotion: str) -> list[Pose]:
        apex = expression.sample_apex(np.random.default_rng(6), emotion, style)
        course = expression.onset_to_apex(np.random.default_rng(5), 12)
        return expression.animate(np.random.default_rng(4), course, apex, style, fps=30)

    one, other = poses("anger"), poses("surprise")
    assert [p.turn for p in one] == [p.turn for p in other] and [p.gaze for p in one] == [p.gaze for p in other]
    assert [p.blink for p in one] == [p.blink for p in other]
    assert np.abs(one[0].units - other[0].units).max() < 0.5 < np.abs(one[-1].units - other[-1].units).max()


def test_an_emotion_is_not_one_pattern() -> None:
    rng = np.random.default_rng(1)
    shown = np.stack([expression.sample_apex(rng, "fear", ExpressionStyle()).mean(0) for _ in range(60)])
    present = (shown > 0.6).mean(0)
    assert present.max() < 0.99
    assert (present > 0.02).sum() > 9  # unrelated units and blends
    assert np.std(shown.sum(1)) > 0.15 * shown.sum(1).mean()
