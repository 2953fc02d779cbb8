"""Claims as tests: an exact p-value over subjects, and a verdict that says no more than was found."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test
from tables import predictions

from fer3d.evaluation import hypotheses


def said_of(claim: str, result: dict[str, Any]) -> str:
    return hypotheses.verdict(claim, hypotheses.finding(result), result)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_the_p_value_is_that_of_all_flips_of_the_signs(sums: list[int]) -> None:
    every = permutation_test(
        (np.array(sums, float),), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert np.isclose(hypotheses.permutation_p(np.array(sums)), every.pvalue)


def test_the_p_value_is_exact_for_more_subjects_than_can_be_listed() -> None:
    assert hypotheses.permutation_p(np.ones(200, int)) == pytest.approx(2 / 2**200)
    assert hypotheses.permutation_p(np.tile([1, -1], 100)) == 1.0


def pair(better: int, worse: int, seeds: int = 1, subjects: int = 20) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two models on one clip of each subject: of as many the first alone is right, of as many the second."""
    truth, wrong = ["anger"] * subjects, "fear"
    first = ["anger"] * (subjects - worse) + [wrong] * worse
    second = [wrong] * better + ["anger"] * (subjects - better)
    tables = [predictions(truth, predicted) for predicted in (first, second)]
    one, other = (pd.concat([table.assign(seed=k) for k in range(seeds)]) for table in tables)
    return one, other


def test_a_clear_difference_is_shown_and_its_opposite_is_said_to_be_the_opposite() -> None:
    one, other = pair(better=9, worse=0)
    found = hypotheses.compare(one, other)
    assert (found["n"], found["subjects"], found["first"], found["second"]) == (20, 20, 1.0, 0.55)
    assert found["p"] == pytest.approx(2 / 2**9)
    said = said_of("3D beats 2D", found)
    assert said.startswith("3D beats 2D: shown, +45.0 percentage points [") and "one training each" in said
    assert ": the opposite is shown, -45.0" in said_of("3D beats 2D", hypotheses.compare(other, one))


def test_a_difference_that_chance_explains_is_not_shown() -> None:
    said = said_of("3D beats 2D", hypotheses.compare(*pair(better=4, worse=2)))
    assert ": not shown, +10.0" in said and "20 clips of 20 subjects" in said


def test_all_seeds_count_and_clips_stay_clips() -> None:
    found = hypotheses.compare(*pair(better=9, worse=0, seeds=3))
    assert (found["n"], found["seeds"]) == (20, 3)
    assert "3 trainings each" in said_of("a claim", found)


def test_what_only_one_model_was_tested_on_does_not_count() -> None:
    one, other = pair(better=9, worse=0, seeds=2)
    found = hypotheses.compare(one[one["seed"] == 0], other.iloc[:15])
    assert (found["n"], found["seeds"]) == (15, 1)
