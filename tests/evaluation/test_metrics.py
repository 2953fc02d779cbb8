"""Metrics, against counts made by hand."""

import numpy as np
import pandas as pd
import pytest
from tables import predictions

from fer3d import labels
from fer3d.errors import InputError
from fer3d.evaluation import metrics, paper

CLASSES = labels.CLASSES["ckplus"]


def test_metrics_equal_those_by_hand():
    result = metrics.evaluate(
        predictions(
            ["anger", "anger", "anger", "fear", "surprise", "surprise"],
            ["anger", "anger", "fear", "anger", "surprise", "surprise"],
        )
    )
    assert (result["n"], result["subjects"]) == (6, 6)
    assert result["accuracy"] == pytest.approx(4 / 6)
    assert result["uar"] == pytest.approx((2 / 3 + 0 + 1) / 3)  # over the three classes that occur
    assert result["majority"] == pytest.approx(3 / 6)
    assert result["labels"] == list(CLASSES)
    assert result["confusion"][CLASSES.index("anger")] == [2, 0, 0, 1, 0, 0, 0]
    assert result["confusion"][CLASSES.index("contempt")] == [0] * 7
    assert (
        metrics.evaluate(predictions(["anger", "fear"], ["fear", "fear"]))["majority"] == 1 / 2
    )  # counted over true labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.assign(label=["boredom", *table["label"][1:]]), "^boredom: expected a column p_"),
        (lambda table: pd.concat([table, table]), "3 clips are in the table twice"),
        (lambda table: table.drop(columns="subject"), "lacks rows or columns"),
        (lambda table: table.head(0), "lacks rows or columns"),
    ],
)
def test_what_has_no_figures_is_refused(change, message):
    table = predictions(["anger", "fear", "fear"], ["anger", "anger", "fear"])
    with pytest.raises(InputError, match=message):
        metrics.evaluate(change(table))


def test_interval_is_over_subjects_not_clips():
    rng = np.random.default_rng(0)
    correct = rng.random(40) < 0.6
    truth = ["anger"] * 400
    predicted = ["anger" if hit else "fear" for hit in np.repeat(correct, 10)]  # ten equal clips per subject
    result = metrics.evaluate(predictions(truth, predicted, [f"S{i // 10}" for i in range(400)]))
    low, high = result["interval"]
    expected = 1.96 * np.sqrt(correct.mean() * (1 - correct.mean()) / 40)
    assert low < result["accuracy"] < high
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15)  # by clips it would be a third of that
    assert metrics.evaluate(predictions(truth, predicted))["interval"][1] - low < 0.8 * (high - low)


def test_each_rate_has_its_own_interval():
    result = metrics.evaluate(predictions(["anger"] * 90 + ["fear"] * 10, ["anger"] * 100))
    assert result["interval"][0] > 0.8 and result["uar_interval"][1] < 0.65


def test_paired_comparison_is_narrower_than_two_intervals():
    rng = np.random.default_rng(1)
    truth = ["anger"] * 200
    first = np.where(rng.random(200) < 0.6, "anger", "fear")
    second = np.where(rng.random(200) < 0.1, "fear", first)  # equal but for a tenth
    a, b = predictions(truth, list(first)), predictions(truth, list(second))
    result = metrics.compare(a, b)
    assert result["difference"] == pytest.approx((first == "anger").mean() - (second == "anger").mean())
    low, high = result["interval"]
    assert 0 < low < result["difference"] < high
    assert metrics.compare(a, a)["interval"] == [0, 0]
    assert metrics.compare(a.sample(frac=1, random_state=0), b)["interval"] == pytest.approx([low, high])
    with pytest.raises(InputError, match="different clips"):
        metrics.compare(a, b.iloc[1:])
    for other in (b.assign(label="fear"), b.assign(subject="S0"), b.assign(clip=b["clip"].iloc[::-1].to_numpy())):
        with pytest.raises(InputError, match="differ about a clip's subject or label"):
            metrics.compare(a, other)


def test_comparison_counts_seeds_where_there_are_several():
    rng = np.random.default_rng(2)
    truth = ["anger"] * 200
    lucky, unlucky = (["anger" if hit else "fear" for hit in rng.random(200) < rate] for rate in (0.9, 0.5))
    other = predictions(truth, ["anger" if hit else "fear" for hit in rng.random(200) < 0.6])
    seeds = [predictions(truth, hits).assign(seed=seed) for seed, hits in enumerate((lucky, unlucky))]
    both = metrics.compare(pd.concat(seeds), pd.concat([other.assign(seed=seed) for seed in range(2)]))
    assert (both["n"], both["seeds"]) == (200, 2)
    assert both["interval"][1] - both["interval"][0] > 1  # two trainings that differ so say next to nothing
    assert metrics.compare(seeds[0], other)["seeds"] == 1 and metrics.compare(seeds[0], other)["interval"][0] > 0


def test_probabilities_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="clip c1 are not numbers; try training with a smaller lr"):
        manifest = predictions(["anger"] * 2, ["anger"] * 2)[["clip", "subject", "database", "label"]]
        metrics.predictions_table(manifest, CLASSES, np.array([[1 / 7] * 7, [np.nan] * 7]))


def test_folds_are_summarised_as_the_paper_prints_them():
    folds = [predictions(["anger"] * 4, ["anger"] * k + ["fear"] * (4 - k)) for k in (2, 3)]
    result = metrics.over_folds(folds)
    assert result["folds"] == [0.5, 0.75]
    assert result["std"] == pytest.approx(np.sqrt(2 * 0.125**2))
    assert metrics.over_folds(folds[:1])["std"] is None


def test_pooling_refuses_a_repeated_clip_and_other_classes():
    a = predictions(["anger"], ["anger"])
    assert len(metrics.pool([a, predictions(["fear"], ["anger"], start=1)])) == 2
    with pytest.raises(InputError, match="c0"):
        metrics.pool([a, a])
    with pytest.raises(InputError, match="different classes"):
        metrics.pool([a, predictions(["anger"], ["anger"], classes=labels.CLASSES["mmi"], start=1)])
    with pytest.raises(InputError, match="no run is given"):
        metrics.pool([])


def test_the_same_names_in_two_databases_are_two_clips_of_two_subjects():
    a = predictions(["anger"] * 2, ["anger", "fear"])
    pooled = metrics.pool([a, a.assign(database="mmi")])
    assert (metrics.evaluate(pooled)["n"], metrics.evaluate(pooled)["subjects"]) == (4, 4)


def test_predictions_survive_the_file(tmp_path):
    table = predictions(["anger", "fear"], ["anger", "anger"], ["007", "NA"])
    table.to_csv(tmp_path / "predictions.csv", index=False)
    pd.testing.assert_frame_equal(metrics.read_predictions(tmp_path), table, check_dtype=False)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: None, "cannot be read"),
        (lambda text: "", "not a table"),
        (lambda text: text[: len(text) // 2], "lacks rows|label|probability|not a table"),
        (lambda text: "\x00\x01\x02" * 50, "lacks rows|not a table"),
        (lambda text: text.replace("p_anger", "p_hunger"), "hunger"),
        (lambda text: text.replace("p_anger", "x"), "columns"),
        (lambda text: text.replace("p_anger", "?").replace("p_fear", "p_anger").replace("?", "p_fear"), "label order"),
        (lambda text: text.replace(",fear,", ",sleepy,"), "sleepy"),
        (lambda text: text.replace("0.7", "-0.7"), "probability"),
        (lambda text: text.replace("0.7", "1.7"), "probability"),
        (lambda text: text.replace("0.7", "inf"), "probability"),
        (lambda text: text.replace("0.7", "much"), "probability"),
        (lambda text: text.splitlines()[0], "lacks rows"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, damage, message):
    table = predictions(["anger", "fear"], ["anger", "fear"])
    text = damage(table.to_csv(index=False))
    if text is not None:
        (tmp_path / "predictions.csv").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        metrics.read_predictions(tmp_path)
    assert "\n" not in str(error.value)


def test_an_oversized_file_is_not_read(tmp_path):
    with (tmp_path / "predictions.csv").open("wb") as file:
        file.truncate(metrics.MAX_BYTES + 1)  # sparse: takes no space
    with pytest.raises(InputError, match=str(metrics.MAX_BYTES)):
        metrics.read_predictions(tmp_path)


def test_what_is_not_in_the_paper_has_no_rate_of_it():
    assert paper.printed("ckplus", "3d") == paper.TABLE1["ckplus"]["3d"]
    assert paper.printed("ckplus", "3d+landmarks", cross=True) == paper.TABLE2["ckplus"]["3d+landmarks"]
    for database in set(labels.TITLES) - set(labels.PAPER):
        assert paper.printed(database, "3d") is None and "not in the paper" in paper.others(database)
    assert paper.others("disfa").endswith("Table 1, DISFA, per cent [its reference]: 55.0 [38]")


def test_the_papers_tables_cover_all_databases():
    assert set(paper.TABLE1) == set(paper.TABLE2) == set(labels.PAPER)
    assert str(paper.TABLE1["ckplus"]["3d+landmarks"]) == "93.21 ± 2.32"
    assert paper.TABLE2["ckplus"]["3d+landmarks"].mean == 67.52


def test_a_prediction_among_the_labelled_classes_stays_where_probabilities_are_rounded_to_a_tie() -> None:
    table = predictions(["fear", "anger"], ["fear", "surprise"], ["S1", "S2"])
    table[["p_anger", "p_fear"]] = 0.4  # the first of equal ones is anger
    assert list(metrics.among_labelled(table)["prediction"]) == ["fear", "anger"]
