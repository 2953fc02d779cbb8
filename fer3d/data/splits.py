"""Subject-independent folds and cross-database splits.

Sections 4.2.1 and 4.2.2 of the paper: five folds in which no subject is in both training
and test, and training on some databases with another one held out. The paper does not say how
its folds balance the classes; here they are stratified by label as far as whole subjects allow.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from fer3d import labels
from fer3d.errors import InputError


def subjects_of(table: pd.DataFrame) -> pd.Series:
    """The subject of each row as ``database/subject``: two databases may use the same subject name."""
    return table["database"].astype(str) + "/" + table["subject"].astype(str)


def fold_of(manifest: pd.DataFrame, folds: int, seed: int = 0) -> np.ndarray:
    """The fold in which each clip is tested.

    Args:
        manifest: N rows with ``database``, ``subject`` and ``label``.
        folds: number of folds.
        seed: the same seed gives the same folds, whatever the order of the rows.

    Returns:
        (N,) integers, 0 <= fold < folds. All clips of a subject are in one fold.

    Raises:
        InputError: fewer than two folds, or too few subjects to fill them.
    """
    subjects = subjects_of(manifest)
    if not 2 <= folds <= subjects.nunique():
        raise InputError(
            f"{folds} folds cannot be made of {subjects.nunique()} subjects: expected 2 or more, and a subject for each"
        )
    fold = np.full(len(manifest), -1)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer clips than folds is missing from some folds; that is allowed.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        try:
            parts = list(splitter.split(manifest, manifest["label"].astype(str), subjects))
        except ValueError as error:
            most = manifest["label"].value_counts().max()
            raise InputError(
                f"{folds} folds cannot be made: no class has more than {most} clips, expected one with {folds} or more"
            ) from error
    for number, (_, test) in enumerate(parts):
        if not len(test):
            raise InputError(f"{folds} folds cannot be made of so few subjects: fold {number} would be empty")
        fold[test] = number
    return fold


def fold_split(manifest: pd.DataFrame, fold: int, folds: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the clips to train on and to test on when ``fold`` is held out.

    Raises:
        InputError: no such fold, or see `fold_of`.
    """
    if not 0 <= fold < folds:
        raise InputError(f"fold {fold} does not exist: folds are 0 to {folds - 1}", f"--fold {folds - 1}")
    held_out = fold_of(manifest, folds) == fold
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    assert_disjoint(manifest.iloc[train], manifest.iloc[test])
    return train, test


def cross_split(
    train: Sequence[pd.DataFrame], test: pd.DataFrame
) -> tuple[tuple[str, ...], np.ndarray, dict[str, int]]:
    """A cross-database test: the learned classes, the test clips, and the number of clips left out.

    Args:
        train: manifests of the training databases; all their clips are learned.
        test: manifest of the held-out database.

    Returns:
        The learned classes in label order, the row numbers of the test clips whose label
        is among them, and the number of clips left out by label (contempt for CK+, relief
        for FERA, neutral for DISFA, as in the paper).

    Raises:
        InputError: a database on both sides, or no test clip with a learned label.
    """
    learned, _ = labels.cross_database([database_of(manifest) for manifest in train], database_of(test))
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
        raise InputError(f"{len(shared)} subjects are in both training and test: {', '.join(shared[:3])}")
