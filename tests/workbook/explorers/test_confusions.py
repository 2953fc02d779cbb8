"""The clips of a cell of the confusion matrix: chosen, sorted, filtered, compared and downloaded without a browser."""

import base64
import dataclasses
import io
import re

import ipywidgets as widgets
import numpy as np
import pandas as pd
import pytest
from tables import predictions
from test_explorers import store

from fer3d.data.store import Store
from fer3d.evaluation import metrics
from fer3d.workbook.explorers.confusions import explore_confusions
from fer3d.workbook.explorers.explorer import Explorer

TRUTH = ["anger", "anger", "anger", "fear", "fear"]
SUBJECTS = ["S1", "S1", "S2", "S2", "S3"]
ONE = predictions(TRUTH, ["fear", "fear", "fear", "fear", "anger"], SUBJECTS)
OTHER = predictions(TRUTH, ["anger", "fear", "anger", "fear", "fear"], SUBJECTS)


@pytest.fixture
def clips() -> Store:
    five = store(len(ONE))
    return dataclasses.replace(five, manifest=five.manifest.assign(clip=ONE["clip"]))


@pytest.fixture
def explorer(clips: Store) -> Explorer:
    table = ONE.copy()
    table.loc[1, ["p_fear", "p_anger"]] = 0.9, 0.05  # the second clip is the surest
    return explore_confusions({"one": table, "other": OTHER}, clips, "CK+ (synthetic)", lambda points: None)


def downloaded(explorer: Explorer) -> pd.DataFrame:
    """The table behind the link."""
    (content,) = re.findall('base64,([^"]+)', explorer.children[-1].value)
    return pd.read_csv(io.BytesIO(base64.b64decode(content)))


def buttons(explorer: Explorer) -> dict[tuple[str, str], widgets.Button]:
    return {part.cell: part for part in explorer.children[0].children if isinstance(part, widgets.Button)}


def test_it_starts_with_the_fullest_cell_off_the_diagonal(explorer: Explorer) -> None:
    cell = explorer.controls["cell"]
    assert cell.value == ("anger", "fear")
    assert [text for text, _ in cell.options] == ["anger as fear (3)", "fear as anger (1)", "fear as fear (1)"]


def test_the_matrix_has_the_counts_and_a_button_chooses_its_cell(explorer: Explorer) -> None:
    found = buttons(explorer)
    counts = metrics.evaluate(ONE)["confusion"]
    assert [int(button.description or 0) for button in found.values()] == np.ravel(counts).tolist()
    assert all(button.disabled == (not button.description) for button in found.values())
    assert found["fear", "anger"].tooltip == "fear predicted as anger: 1 clip"
    found["fear", "anger"].click()
    assert explorer.controls["cell"].value == ("fear", "anger")
    assert list(downloaded(explorer)["clip"]) == ["c4"]


def test_the_link_holds_no_formula(clips: Store) -> None:
    explorer = explore_confusions({"one": ONE.assign(subject="=1+1")}, clips, "CK+ (synthetic)", lambda points: None)
    assert set(downloaded(explorer)["subject"]) == {"'=1+1"}


def test_the_slider_ends_with_the_chosen_clips_and_the_link_holds_them_in_their_order(explorer: Explorer) -> None:
    assert explorer.controls["clip"].max == 3
    assert list(downloaded(explorer)["clip"]) == ["c1", "c0", "c2"], "the surest first"
    explorer.controls["sort"].value = "least confident"
    assert list(downloaded(explorer)["clip"]) == ["c0", "c2", "c1"]
    explorer.controls["subject"].value = "S1"
    assert list(downloaded(explorer)["clip"]) == ["c0", "c1"]
    assert explorer.controls["clip"].max == 2
    assert sum(int(button.description or 0) for button in buttons(explorer).values()) == 2, "the matrix of this subject"


def test_another_variant_has_its_own_cells_and_probabilities_beside_it(explorer: Explorer) -> None:
    assert explorer.controls["other"].value == "other"
    values = {name: control.value for name, control in explorer.controls.items()}
    alone = explorer.draw(**values | {"other": "none"})
    assert (explorer.draw(**values) != alone).any()
    explorer.controls["variant"].value = "other"
    assert explorer.controls["cell"].value == ("anger", "fear"), "it stays where there still are clips"
    assert explorer.controls["clip"].max == 1
    explorer.controls["cell"].value = ("fear", "fear")
    explorer.controls["variant"].value = "one"
    assert explorer.controls["cell"].value == ("fear", "fear") and explorer.controls["clip"].max == 1


def test_another_variant_whose_cells_are_others_is_drawn_once(explorer: Explorer, monkeypatch) -> None:
    explorer.controls["cell"].value = ("fear", "anger")  # the other variant has no clip there
    drawn: list[dict[str, object]] = []
    draw = explorer.draw
    monkeypatch.setattr(explorer, "draw", lambda **values: drawn.append(values) or draw(**values))
    explorer.controls["variant"].value = "other"
    assert [(values["variant"], values["cell"]) for values in drawn] == [("other", ("anger", "fear"))]


def test_the_picture_keeps_its_size(explorer: Explorer) -> None:
    values = {name: control.value for name, control in explorer.controls.items()}
    sizes = {explorer.draw(**values | {"cell": cell, "clip": 1}).shape for _, cell in explorer.controls["cell"].options}
    assert len(sizes) == 1


def test_landmarks_and_filter_are_drawn(clips: Store) -> None:
    import torch

    explorer = explore_confusions({"one": ONE}, clips, "CK+", lambda points: torch.zeros(1, 1, 10, 4, 4))
    values = {name: control.value for name, control in explorer.controls.items()}
    plain = explorer.draw(**values | {"landmarks": False})
    assert (explorer.draw(**values) != plain).any()
    assert explorer.draw(**values | {"landmarks": False, "filter": True}).mean() < plain.mean(), "darker"
