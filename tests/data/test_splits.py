"""Folds and cross-database splits: no person on both sides, the same folds every time."""

import numpy as np
import pandas as pd
import pytest

from fer3d import labels
from fer3d.data import splits
from fer3d.errors import InputError


def manifest(database="ckplus", subjects=20, clips=4, seed=0):
    rng = np.random.default_rng(seed)
    N = subjects * clips
    return pd.DataFrame(
        {
            "clip": [f"{database}-{i}" for i in range(N)],
            "database": database,
            "subject": [f"S{i // clips:03d}" for i in range(N)],
            "label": rng.choice(labels.CLASSES[database], N),
        }
    )


def test_every_clip_is_tested_once_and_no_subject_is_on_both_sides():
    table = manifest()
    tested = []
    for fold in range(5):
        train, test = splits.fold_split(table, fold, 5)
        assert not set(table["subject"].iloc[train]) & set(table["subject"].iloc[test])
        assert sorted([*train, *test]) == list(range(len(table)))
        tested.extend(test)
    assert sorted(tested) == list(range(len(table)))


def test_folds_are_the_same_for_any_order_of_the_rows():
    table = manifest()
    shuffled = table.sample(frac=1, random_state=1)
    expected = dict(zip(table["clip"], splits.fold_of(table, 5), strict=True))
    assert dict(zip(shuffled["clip"], splits.fold_of(shuffled, 5), strict=True)) == expected


def test_folds_follow_the_share_of_the_classes():
    table = manifest(subjects=100, clips=2)
    table["label"] = np.where(np.arange(200) % 4 < 2, "anger", "surprise")  # every other subject is angry
    fold = splits.fold_of(table, 5)
    assert [(table["label"][fold == k] == "anger").sum() for k in range(5)] == [20] * 5


def test_a_class_may_be_missing_from_a_fold():
    table = manifest(subjects=6)
    table["label"] = "anger"
    table.loc[0, "label"] = "fear"
    assert len(splits.fold_split(table, int(splits.fold_of(table, 3)[0]), 3)[1])


@pytest.mark.parametrize(
    ("subjects", "folds", "told"), [(4, 5, "expected 2 to 4"), (4, 1, "expected 2 to 4"), (1, 2, "of one subject")]
)
def test_too_few_subjects_for_the_folds(subjects, folds, told):
    with pytest.raises(InputError, match=told):
        splits.fold_of(manifest(subjects=subjects), folds)


def test_folds_are_made_though_no_class_has_a_clip_for_each():
    table = manifest(subjects=4, clips=1)
    table["label"] = ["anger", "fear", "disgust", "sadness"]
    assert sorted(splits.fold_of(table, 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("fold", [-1, 5])
def test_unknown_fold(fold):
    with pytest.raises(InputError, match="folds are 0 to 4"):
        splits.fold_split(manifest(), fold, 5)


def test_cross_database_leaves_out_what_was_not_learned():
    test = manifest("ckplus")
    learned, kept, left_out = splits.cross_split([manifest("mmi"), manifest("fera")], test)
    assert "contempt" not in learned
    assert "relief" in learned
    assert set(left_out) == {"contempt"}
    assert len(kept) + left_out["contempt"] == len(test)
    assert "contempt" not in set(test["label"].iloc[kept])


def test_cross_database_refuses_the_test_database_in_training():
    with pytest.raises(InputError, match="other databases"):
        splits.cross_split([manifest("mmi")], manifest("mmi"))


def test_two_tables_of_ones_own_are_two_databases():
    own, other = manifest("mmi", subjects=4), manifest("mmi", subjects=6, seed=1)
    own, other = (table.assign(database="table") for table in (own, other))
    own["label"], other["label"] = "bored", np.where(other.index % 2, "bored", "pain")
    other["subject"] = "other " + other["subject"]
    learned, kept, left_out = splits.cross_split([own], other)
    assert learned == ("bored",) and left_out == {"pain": 12} and set(other["label"].iloc[kept]) == {"bored"}
    learned, _, left_out = splits.cross_split([own, manifest("mmi")], other)
    assert learned == (*labels.CLASSES["mmi"], "bored") and left_out == {"pain": 12}
    third = own.assign(subject="third " + own["subject"], label="pain")
    learned, _, left_out = splits.cross_split([own, third], other)
    assert learned == ("bored", "pain") and left_out == {}
    with pytest.raises(InputError, match=r"table/S000.*; try other names in labels.csv where they are other people"):
        splits.cross_split([own, third], other.assign(subject=own["subject"].iloc[0]))


def test_same_subject_name_in_two_databases_is_two_people():
    splits.assert_disjoint(manifest("mmi"), manifest("ckplus"))
    with pytest.raises(InputError, match="ckplus/S000"):
        splits.assert_disjoint(manifest("ckplus"), manifest("ckplus"))


def test_a_store_holds_one_database():
    with pytest.raises(InputError, match="expected exactly one"):
        splits.database_of(pd.concat([manifest("mmi"), manifest("ckplus")]))


def test_fewer_subjects_than_folds_make_a_fold_each() -> None:
    manifest = pd.DataFrame({"database": "mmi", "subject": list("aabbccdd"), "label": ["fear", "anger"] * 4})
    assert splits.number_of_folds(manifest, 5) == 4 and splits.number_of_folds(manifest, 3) == 3
    fold = splits.fold_of(manifest, splits.number_of_folds(manifest, 5))
    assert sorted(pd.Series(fold).groupby(manifest["subject"]).unique().map(list).tolist()) == [[0], [1], [2], [3]]


@pytest.mark.parametrize(
    ("database", "subjects", "folds"),
    [
        (
            "ravdess",
            [f"Actor_{k:02d}" for k in range(1, 25)],
            {"Actor_02": 0, "Actor_18": 1, "Actor_24": 3},
        ),
        ("cremad", [str(k) for k in range(1001, 1092)], {"1001": 0, "1018": 0, "1019": 1, "1072": 3, "1091": 4}),
    ],
)
def test_published_folds_are_by_actor_and_hold_every_actor_once(
    database: str, subjects: list[str], folds: dict[str, int]
) -> None:
    assert sorted(name for fold in splits.PUBLISHED_FOLDS[database] for name in fold) == subjects
    manifest = pd.DataFrame({"database": database, "subject": subjects, "label": "fear"})
    found = dict(zip(subjects, splits.fold_of(manifest, 5, published=True).tolist(), strict=True))
    assert found.items() >= folds.items()
    few = manifest[manifest["subject"].isin(subjects[:4])]
    assert splits.number_of_folds(few, 5, published=True) == len({found[name] for name in subjects[:4]})


def test_a_database_without_published_folds_is_one_clear_line() -> None:
    manifest = pd.DataFrame({"database": "mmi", "subject": list("ab"), "label": "fear"})
    with pytest.raises(InputError, match="MMI has no published folds: expected ravdess, cremad"):
        splits.fold_of(manifest, 5, published=True)
