"""What needs no network: landmark motion, local binary patterns on three planes, and the most frequent class."""

import numpy as np
import pandas as pd
import pytest

from fer3d.evaluation import baselines, metrics

CLASSES = ("anger", "fear", "sadness")


def manifest(truth: list[str]) -> pd.DataFrame:
    names = [f"c{k}" for k in range(len(truth))]
    return pd.DataFrame({"clip": names, "subject": names, "database": "ckplus", "label": truth})


@pytest.fixture
def noise() -> np.ndarray:
    """A still picture (10, 32, 32, 3)."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    return np.broadcast_to(picture, (10, 32, 32, 3))


def planes(frames: np.ndarray) -> np.ndarray:
    """The histograms by plane, (3, blocks, patterns)."""
    return baselines.lbp_top(frames).reshape(3, baselines.BLOCKS**2, baselines.PATTERNS)


def test_the_linear_classifier_uses_landmark_motion_alone() -> None:
    rng = np.random.default_rng(0)
    N = 120
    truth = rng.choice(["happiness", "surprise"], N)
    landmarks = np.repeat(rng.uniform(10, 50, (N, 1, 66, 2)), 10, axis=1)
    opening = np.linspace(0, 8, 10) * (truth == "surprise")[:, None]
    landmarks[:, :, 55:60, 1] += opening[:, :, None]
    landmarks += rng.uniform(-100, 100, (N, 10, 1, 2))  # the head moves too
    landmarks[0, :, 3] = np.nan
    landmarks[1, 0] = np.nan
    table, learned = manifest(list(truth)), ("anger", "happiness", "surprise")
    train, test = np.arange(80), np.arange(80, N)
    result = baselines.linear(table, landmarks, learned, train, test)
    assert metrics.evaluate(result)["accuracy"] > 0.9
    assert metrics.classes_of(result) == learned
    assert (result["p_anger"] == 0).all()
    nearer = baselines.linear(table, landmarks * rng.uniform(1, 2, (N, 10, 1, 1)), learned, train, test)
    pd.testing.assert_frame_equal(nearer, result)
    table.loc[test, "label"] = "happiness"
    assert baselines.linear(table, landmarks, learned, train, test)["p_surprise"].equals(result["p_surprise"])
    still = np.repeat(landmarks[:, :1], 10, axis=1)
    assert metrics.evaluate(baselines.linear(table, still, learned, train, test))["accuracy"] < 0.75


def test_every_histogram_is_of_shares(noise: np.ndarray) -> None:
    assert np.allclose(planes(noise).sum(-1), 1)


def test_an_even_clip_has_one_pattern_on_all_planes() -> None:
    found = planes(np.full((10, 32, 32, 3), 90, np.uint8))
    assert (found.max(-1) == 1).all() and len(set(found.argmax(-1).ravel())) == 1


def test_the_planes_with_time_show_what_moves_and_the_frames_do_not(noise: np.ndarray) -> None:
    """The same frames in another order: each frame has the patterns that it had."""
    moved = np.stack([np.roll(noise[0], 3 * k, axis=1) for k in range(10)])
    shuffled = moved[[0, 5, 2, 7, 4, 1, 6, 3, 8, 9]]
    one, other = planes(moved), planes(shuffled)
    assert np.allclose(one[0], other[0])
    assert np.abs(one[1] - other[1]).max() > 0.01 and np.abs(one[2] - other[2]).max() > 0.01


def test_a_part_of_the_picture_changes_only_the_histograms_there(noise: np.ndarray) -> None:
    other = noise.copy()
    other[:, 20:, 20:] = 0
    changed = np.abs(planes(noise) - planes(other)).max((0, 2)).reshape(baselines.BLOCKS, baselines.BLOCKS)
    assert (changed[:2, :] == 0).all() and (changed[:, :2] == 0).all() and changed[3, 3] > 0


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2]])
def test_the_svm_learns_what_can_be_separated_and_a_class_without_clips_is_never_predicted(
    classes: tuple[str, ...],
) -> None:
    truth = [name for name in classes for _ in range(8)]
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(len(CLASSES), 2000))  # about as many as the histograms have bins
    features = rng.normal(size=(len(truth), 2000)) + centres[[CLASSES.index(name) for name in truth]]
    train, test = np.arange(0, len(truth), 2), np.arange(1, len(truth), 2)
    table = baselines.linear_svm(manifest(truth), features, (*classes, "surprise"), train, test)
    assert (table["prediction"] == table["label"]).all()
    assert (table["p_surprise"] == 0).all() and np.allclose(table.filter(like="p_").sum(axis=1), 1)


def test_the_majority_is_that_of_the_training_clips() -> None:
    truth = ["fear", "fear", "anger", "anger", "anger", "sadness"]
    table = baselines.majority(manifest(truth), CLASSES, np.arange(3), np.arange(3, 6))
    assert list(table["prediction"]) == ["fear"] * 3
    assert table.iloc[0][["p_anger", "p_fear", "p_sadness"]].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert metrics.evaluate(table)["accuracy"] == 0
