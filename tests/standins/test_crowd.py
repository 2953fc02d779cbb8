"""The rendered crowd acts any ten frames, and the second rendering shares nothing with it but the landmarks' order."""

import numpy as np
import pytest

from benchmarks.training import second_rendering
from fer3d import labels
from fer3d.config import ClipSettings, PretrainingSettings
from fer3d.data.store import open_store
from fer3d.standins import rendered_store
from fer3d.standins.crowd.behaviour import Behaviour, behave, label

SMALL = ClipSettings(size=32)
WINDOWS = {"rest", "onset", "held", "offset", "mixed", "talking"}
"""Kinds of window."""


def acted(level: list[float], talks: bool = False) -> Behaviour:
    return Behaviour("fear", np.array(level), [], talks)


@pytest.mark.parametrize(
    ("level", "talks", "expected"),
    [
        ([0, 0.05, 0], False, ("neutral", "rest")),
        ([0, 0.05, 0], True, ("neutral", "talking")),
        ([0, 0.5, 1], False, ("fear", "onset")),
        ([1, 0.5, 0], False, ("fear", "offset")),
        ([1, 0.9, 1], False, ("fear", "held")),
        ([0, 1, 0.1], False, ("fear", "mixed")),
        ([0, 0.5, 1], True, ("fear", "talking")),
        ([0, 0.2, 0.3], False, None),
        ([0, 0, 0.6], False, None),
    ],
)
def test_a_window_is_labelled_by_what_it_shows(level, talks, expected) -> None:
    assert label(acted(level, talks), np.arange(len(level))) == expected


def test_an_expression_played_backwards_falls() -> None:
    assert label(acted([0, 0.5, 1]), np.array([2, 1, 0])) == ("fear", "offset")


def test_every_kind_of_window_and_neutral_occur() -> None:
    rng, seen = np.random.default_rng(0), set()
    for emotion in (*("happiness", "fear", "anger") * 20, *["neutral"] * 10):
        behaviour = behave(rng, emotion, 20)
        assert len(behaviour.poses) == len(behaviour.level) == 20
        shown = [label(behaviour, np.arange(start, start + 10)) for start in (0, 5, 10)]
        seen |= {each[1] for each in shown if each}
    assert seen == WINDOWS


def test_neutral_recordings_never_show_an_expression() -> None:
    rng = np.random.default_rng(1)
    shown = [label(behave(rng, "neutral", 10), np.arange(10)) for _ in range(10)]
    assert {each[0] for each in shown if each} == {"neutral"} and None not in shown


def test_landmarks_without_pictures_follow_the_same_rules() -> None:
    settings = PretrainingSettings(people=8, recordings=6)
    told = [rendered_store.record_landmarks(settings, SMALL, number) for number in range(8)]
    assert all(landmarks.shape == (len(shown), 10, 66, 2) for shown, landmarks in told)
    seen = [clip for shown, _ in told for clip in shown]
    assert {clip.emotion for clip in seen} == set(labels.CLASSES["people"])
    assert {clip.kind for clip in seen} == WINDOWS
    landmarks = np.concatenate([each for _, each in told])
    assert np.isfinite(landmarks).all() and ((landmarks > 0) & (landmarks < 31)).mean() > 0.98
    again = rendered_store.record_landmarks(settings, SMALL, 3)
    assert again[0] == told[3][0] and np.array_equal(again[1], told[3][1])
    other = rendered_store.record_landmarks(PretrainingSettings(people=8, recordings=6, seed=1), SMALL, 3)
    assert not np.array_equal(other[1][:2], told[3][1][:2])


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    out = tmp_path_factory.mktemp("second") / "store"
    second_rendering.write(out, SMALL, people=2, workers=1)
    return open_store(out)


def test_the_second_rendering_is_a_store_like_that_of_ckplus(second) -> None:
    assert second.database == "ckplus" and len(second) == 14
    assert sorted(second.labels) == sorted(labels.CLASSES["ckplus"] * 2)
    assert np.isfinite(second.landmarks).all()
    moved = np.linalg.norm(second.landmarks[:, -1] - second.landmarks[:, 0], axis=-1)
    assert np.median(moved.max(axis=1)) > 1, "clips go from rest to an apex"


def test_the_same_seed_gives_the_same_second_rendering_and_another_other_people(second, tmp_path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    second_rendering.write(same, SMALL, people=2, workers=1)
    second_rendering.write(other, SMALL, people=2, seed=1, workers=1)
    assert np.array_equal(open_store(same).frames, second.frames)
    assert not np.array_equal(open_store(other).frames, second.frames)


def test_landmarks_of_the_second_rendering_need_no_pictures(second) -> None:
    told = [second_rendering.record_landmarks(SMALL, 0, number) for number in range(8)]
    assert all(landmarks.shape == (7, 10, 66, 2) and np.isfinite(landmarks).all() for landmarks in told)
    assert np.array_equal(second_rendering.record_landmarks(SMALL, 0, 3), told[3])
    assert not np.array_equal(second_rendering.record_landmarks(SMALL, 1, 3), told[3])
    exact = second_rendering.record_landmarks(SMALL, 0, 3, exact=True)
    difference = np.abs(exact - told[3]).max(axis=(1, 2, 3))  # of each of the seven recordings, in pixels
    assert ((difference > 0.1) & (difference < 5)).all()
    named = dict(zip(labels.CLASSES["ckplus"], np.stack(told, axis=1), strict=True))

    def opened(emotion: str) -> float:
        """How far the lips part during a clip, in pixels, on the average of the people."""
        gap = named[emotion][:, :, 64, 1] - named[emotion][:, :, 61, 1]  # the inner lips' middles
        return float((gap[:, -1] - gap[:, 0]).mean())

    assert opened("surprise") > 2 > opened("sadness")
    at_rest = [second_rendering.record_landmarks(SMALL, 0, number, strength=0) for number in range(8)]
    named["rest"] = np.concatenate(at_rest)
    assert abs(opened("rest")) < 0.5
    sizes = [np.ptp(landmarks[..., 0], axis=-1).mean() for landmarks in (np.concatenate(told), second.landmarks)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1), "as large in the crop as where pictures are rendered"
