"""Subject-independent folds and cross-database splits.

Sections 4.2.1 and 4.2.2 of the paper: five folds in which no subject is in both training
and test, and training on some databases with another one held out. The paper does not say how
its folds balance the classes; here they are stratified by label as far as whole subjects allow.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from fer3d import labels
from fer3d.errors import InputError

PUBLISHED_FOLDS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "ravdess": tuple(
        tuple(f"Actor_{actor:02d}" for actor in actors)
        for actors in ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
    ),
    "cremad": tuple(
        tuple(str(actor) for actor in range(first, last + 1))
        for first, last in ((1001, 1018), (1019, 1036), (1037, 1054), (1055, 1072), (1073, 1091))
    ),
}
"""The subjects of each fold in publications. RAVDESS: Luna-Jiménez et al. 2022 (https://doi.org/10.3390/app12010327).
CREMA-D: the lists of HiCMAE (https://github.com/sunlicai/HiCMAE)."""


def subjects_of(table: pd.DataFrame) -> pd.Series:
    """The subject of each row as ``database/subject``: two databases may use the same subject name."""
    return table["database"].astype(str) + "/" + table["subject"].astype(str)


def number_of_folds(manifest: pd.DataFrame, folds: int, published: bool = False) -> int:
    """The number of folds: the given ones (see `fold_of`), else ``folds`` or, where these are fewer, the subjects."""
    given = _given_folds(manifest, published)
    return min(folds, subjects_of(manifest).nunique()) if given is None else len(set(given))


def fold_of(manifest: pd.DataFrame, folds: int, published: bool = False) -> np.ndarray:
    """The fold in which each clip is tested: as the user's table says, as published, or balanced by class.

    Args:
        manifest: N rows with ``database``, ``subject`` and ``label``; a column ``fold`` of the user's settles it.
        folds: number of folds, where they are not given.
        published: take the folds of `PUBLISHED_FOLDS`.

    Returns:
        (N,) integers, 0 <= fold < folds, the same for any order of the rows. All clips of a subject are in one fold.
        Given folds that no clip is in are left out, and the others are counted from 0.

    Raises:
        InputError: fewer than two folds, too few subjects to fill them, or no published folds.
    """
    given = _given_folds(manifest, published)
    if given is not None:
        kept, fold = np.unique(given, return_inverse=True)
        if len(kept) < 2:
            raise InputError("all clips are in one fold: expected two folds or more", "another fold for some subjects")
        return fold
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # takes a second, which only this needs

    subjects = subjects_of(manifest)
    if (most := subjects.nunique()) < 2:
        raise InputError("all clips are of one subject: folds need two or more")
    if not 2 <= folds <= most:
        raise InputError(f"{folds} folds of {most} subjects: expected 2 to {most}, so that each fold has a subject")
    fold = np.full(len(manifest), -1)
    classes = manifest["label"].astype(str)
    # Where no class has a clip for each fold, there is nothing to balance but the number of clips.
    kind = StratifiedGroupKFold if classes.value_counts().max() >= folds else GroupKFold
    with warnings.catch_warnings():
        # A class with fewer clips than folds is missing from some folds; that is allowed.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(kind(folds, shuffle=True, random_state=0).split(manifest, classes, subjects))
    for number, (_, test) in enumerate(parts):
        if not len(test):
            raise InputError(f"{folds} folds of {most} subjects: fold {number} would be empty")
        fold[test] = number
    return fold


def _given_folds(manifest: pd.DataFrame, published: bool) -> np.ndarray | None:
    """The fold of each clip that the user's table or a publication gives."""
    if published:
        database = database_of(manifest)
        if database not in PUBLISHED_FOLDS:
            known = ", ".join(PUBLISHED_FOLDS)
            raise InputError(
                f"{labels.TITLES[database]} has no published folds: expected {known}", "--set published_folds=false"
            )
        fold = {subject: k for k, subjects in enumerate(PUBLISHED_FOLDS[database]) for subject in subjects}
        if unknown := sorted(set(manifest["subject"]) - set(fold)):
            raise InputError(f"subject {unknown[0]} is in none of the published folds", "--set published_folds=false")
        return manifest["subject"].map(fold).to_numpy()
    return manifest["fold"].to_numpy() if "fold" in manifest else None


def fold_split(manifest: pd.DataFrame, fold: int, folds: int, published: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the clips to train on and to test on when ``fold`` is held out.

    Raises:
        InputError: no such fold, or see `fold_of`.
    """
    fold_of_clip = fold_of(manifest, folds, published=published)  # first: it says where there are too few
    if not 0 <= fold < folds:
        people = subjects_of(manifest).nunique()
        raise InputError(
            f"fold {fold} does not exist: folds are 0 to {folds - 1}, of the {people} subjects who have clips",
            f"a fold from 0 to {folds - 1}",
        )
    held_out = fold_of_clip == fold
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    assert_disjoint(manifest.iloc[train], manifest.iloc[test])
    return train, test


def cross_split(
    train: Sequence[pd.DataFrame], test: pd.DataFrame
) -> tuple[tuple[str, ...], np.ndarray, dict[str, int]]:
    """A cross-database test: the learned classes, the test clips, and the number of clips left out.

    Args:
        train: manifests of the training databases; all their clips are learned.
        test: manifest of the held-out database. Two tables of one's own recordings are two databases; a name that is
            in both of them counts as one person.

    Returns:
        The learned classes in label order, the row numbers of the test clips whose label
        is among them, and the number of clips left out by label (contempt for CK+, relief
        for FERA, neutral for DISFA, as in the paper).

    Raises:
        InputError: a database or a person on both sides, or no test clip with a learned label.
    """
    present: dict[str, set[str]] = {}
    for manifest in train:
        present.setdefault(database_of(manifest), set()).update(manifest["label"])
    tables = {database_of(test): set(test["label"]), **present}
    learned, _ = labels.cross_database(list(present), database_of(test), tables)
    for manifest in train:
        assert_disjoint(manifest, test)
    known = test["label"].isin(learned)
    if not known.any():
        raise InputError(f"no test clip has one of the learned labels {', '.join(learned)}")
    left_out = test["label"][~known].value_counts().sort_index()
    return learned, np.flatnonzero(known), {str(name): int(count) for name, count in left_out.items()}


def database_of(manifest: pd.DataFrame) -> str:
    """The database of a store's manifest; an `InputError` when it has none or several."""
    names = sorted(set(manifest["database"].astype(str)))
    if len(names) != 1:
        raise InputError(f"a manifest has the databases {', '.join(names) or 'none'}: expected exactly one per store")
    return labels.check_database(names[0])


def assert_disjoint(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """An `InputError` when a subject is in both training and test: the network would recognise the person."""
    if shared := sorted(set(subjects_of(train)) & set(subjects_of(test))):
        raise InputError(
            f"subjects in both training and test: {', '.join(shared[:3])} ({len(shared)} in all)",
            "other names in labels.csv where they are other people" if shared[0].startswith("table/") else "",
        )
