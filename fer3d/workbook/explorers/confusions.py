"""The explorer of notebook 05: the clips of each cell of a confusion matrix, as one variant or two see them.

Drawn by OpenCV, which takes a tenth of matplotlib's time.
"""

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fer3d import files, labels
from fer3d.data.store import Store
from fer3d.evaluation import metrics
from fer3d.workbook.explorers.explorer import Explorer, choice, slider
from fer3d.workbook.explorers.panels import CROP, NO_FACE, darkened, with_points, write

SHOWN = 3
"""Clips in a picture."""
_EVERYBODY, _NONE = "everybody", "none"
_ORDERS = {"most confident": False, "least confident": True}
_SIDE, _FRAMES, _BARS = 110, 5, 250
"""Side of a frame, frames of a clip that are shown, and width of a panel of probabilities."""


def explore_confusions(
    variants: Mapping[str, pd.DataFrame], store: Store, data: str, weigh: Callable[[Tensor], Tensor | None]
) -> Explorer:
    """The clips of a chosen cell: film strips with landmarks and filter, and the probabilities of one or two variants.

    The cell is chosen in the list or by its button in the matrix. Its clips can be sorted by the probability of the
    prediction, limited to one subject, and downloaded as CSV.

    Args:
        variants: tables as of `metrics.read_predictions`, by name, of the same clips.
        store: the clips.
        data: the database's printed name, followed by "(synthetic)" where it is a stand-in.
        weigh: the landmark filter (1, 1, T, G, G) of landmarks (1, T, 66, 2), or None.
    """
    return _Confusions({name: table.set_index("clip") for name, table in variants.items()}, store, data, weigh)


class _Confusions(Explorer):
    """The matrix above the controls and the picture, the link below; ``tables`` are indexed by clip."""

    def __init__(
        self, tables: Mapping[str, pd.DataFrame], store: Store, data: str, weigh: Callable[[Tensor], Tensor | None]
    ) -> None:
        self.tables, self.store, self.data, self.weigh = tables, store, data, weigh
        self.row_of = pd.Series(store.manifest.index, index=store.manifest["clip"])
        names, first = list(tables), next(iter(tables.values()))
        self.controls: dict[str, Any] = {
            "variant": choice("variant", names),
            "other": choice("beside it", [*names[1:], names[0], _NONE]),
            "cell": choice("cell", _cells(first)),
            "clip": slider("clip", 1, 1, 1),
            "sort": choice("sort", _ORDERS),
            "subject": choice("subject", [_EVERYBODY, *sorted(first["subject"].unique())]),
            "landmarks": widgets.Checkbox(True, description="landmarks"),
            "filter": widgets.Checkbox(False, description="filter"),
        }
        classes = labels.ordered(itertools.chain(*map(metrics.classes_of, tables.values())))
        self.matrix, self.download = _Matrix(classes, self.controls["cell"]), widgets.HTML()
        self.matrix.show(first)
        self._limit()
        # Added before the explorer's own observers, so that these run first and the picture is drawn last.
        for name in ("variant", "subject"):
            self.controls[name].observe(self._follow, names="value")
        for name in ("variant", "cell", "subject", "sort"):
            self.controls[name].observe(self._limit, names="value")
        super().__init__(self._draw_clips, **self.controls)
        self.children = (self.matrix, self.panel, self.picture, self.download)

    def _chosen(self, variant: str, cell: tuple[str, str], subject: str, sort: str) -> pd.DataFrame:
        """The rows of the clips of a cell, in their order."""
        table = self.tables[variant]
        kept = (table["label"] == cell[0]) & (table["prediction"] == cell[1])
        kept &= (subject == _EVERYBODY) | (table["subject"] == subject)
        sureness = table.filter(like="p_").max(axis=1)
        return table[kept].loc[sureness[kept].sort_values(ascending=_ORDERS[sort], kind="stable").index]

    def _limit(self, _change: Any = None) -> None:
        """Let the slider end at the number of chosen clips, and the link hold them."""
        variant, cell, subject, sort = (self.controls[name].value for name in ("variant", "cell", "subject", "sort"))
        chosen = self._chosen(variant, cell, subject, sort)
        self.controls["clip"].max = max(1, len(chosen))
        saved = files.for_spreadsheets(chosen.reset_index()).to_csv(index=False, float_format="%.4f")
        content = base64.b64encode(saved.encode(errors="backslashreplace")).decode()
        name = f"{cell[0]}-as-{cell[1]}.csv"  # class names have no special characters of HTML or paths
        text = f"Download {_clips(len(chosen))} as CSV"
        self.download.value = f'<a download="{name}" href="data:text/csv;base64,{content}">{text}</a>'

    def _follow(self, _change: Any) -> None:
        """List the cells of another variant or subject; the chosen one stays if it has clips. Draws nothing itself."""
        controls = self.controls
        table, before = self.tables[controls["variant"].value], controls["cell"].value
        if (subject := controls["subject"].value) != _EVERYBODY:
            table = table[table["subject"] == subject]
        options = _cells(table)
        with self.held():
            controls["cell"].options = options
            controls["cell"].value = before if before in dict(options).values() else options[0][1]
        self.matrix.show(table)

    def _draw_clips(
        self,
        variant: str,
        other: str,
        cell: tuple[str, str],
        clip: int,
        sort: str,
        subject: str,
        landmarks: bool,
        filter: bool,
    ) -> np.ndarray:
        chosen = self._chosen(variant, cell, subject, sort)
        title = f"{cell[0]} predicted as {cell[1]} by {variant}: {_clips(len(chosen))}, {subject} ({self.data})"
        bands = [_line(title, 0.55)]
        for number, name in enumerate(chosen.index[clip - 1 : clip - 1 + SHOWN], start=clip):
            k, row = int(self.row_of[name]), chosen.loc[name]
            bands.append(_line(f"clip {number} of {len(chosen)}: {name}, subject {row['subject']}"))
            panels = [_strip(self.store, k, landmarks, self.weigh if filter else None), _bars(row, variant)]
            if other not in (_NONE, variant) and name in self.tables[other].index:
                panels.append(_bars(self.tables[other].loc[name], other))
            bands.append(np.hstack(panels))
        return _stack(bands)


def _clips(count: int) -> str:
    return f"{count} clip{'s' * (count != 1)}"


def _cells(table: pd.DataFrame) -> list[tuple[str, tuple[str, str]]]:
    """The cells with clips, mistakes first, the fullest first."""
    counts = table[["label", "prediction"]].value_counts().reset_index()
    counts["right"] = counts["label"] == counts["prediction"]
    ordered = counts.sort_values(["right", "count"], ascending=[True, False], kind="stable")
    return [(f"{a} as {b} ({n})", (a, b)) for a, b, n in ordered[["label", "prediction", "count"]].to_numpy()]


class _Matrix(widgets.GridBox):
    """A confusion matrix as buttons, rows true and columns predicted, each of which chooses its cell in the list.

    The buttons are made once: to make them takes as long as to draw ten pictures.
    """

    def __init__(self, classes: Sequence[str], cell: widgets.Dropdown) -> None:
        self.buttons = {pair: _button(pair, cell) for pair in itertools.product(classes, classes)}
        parts: list[widgets.Widget] = [widgets.HTML("true \\ predicted"), *map(widgets.HTML, classes)]
        for true in classes:
            parts += [widgets.HTML(true), *(self.buttons[true, predicted] for predicted in classes)]
        columns = f"120px repeat({len(classes)}, 72px)"
        super().__init__(parts, layout=widgets.Layout(grid_template_columns=columns, grid_gap="1px"))

    def show(self, table: pd.DataFrame) -> None:
        """Write the counts of a table into the buttons; the darker, the larger the share of the true class."""
        counts = table.groupby(["label", "prediction"]).size().to_dict()
        totals = table["label"].value_counts()
        for (true, predicted), button in self.buttons.items():
            count = int(counts.get((true, predicted), 0))
            share = count / max(int(totals.get(true, 0)), 1)
            pale = [round(255 - share * (255 - dark)) for dark in (8, 81, 156)]
            button.description, button.disabled = str(count) if count else "", not count
            button.tooltip = f"{true} predicted as {predicted}: {_clips(count)}"
            button.style.button_color = "#" + "".join(f"{value:02x}" for value in pale)
            button.style.text_color = "white" if share > 0.5 else "black"


def _button(pair: tuple[str, str], cell: widgets.Dropdown) -> widgets.Button:
    def choose(_button: widgets.Button) -> None:
        cell.value = pair

    button = widgets.Button(layout=_CELL)
    button.cell = pair
    button.on_click(choose)
    return button


_CELL = widgets.Layout(width="auto", height="26px")


def _strip(store: Store, row: int, landmarks: bool, weigh: Callable[[Tensor], Tensor | None] | None) -> np.ndarray:
    """Frames of a clip side by side, (`_SIDE`, `_FRAMES` * `_SIDE`, 3), with landmarks and darkened by the filter."""
    frames, points = store.frames[row], np.array(store.landmarks[row])
    shown = np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int)
    weights = weigh(torch.from_numpy(points[None])) if weigh else None
    pictures = []
    for t in shown:
        picture = cv2.resize(frames[t], (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
        if weights is not None:
            picture = darkened(picture, weights[0, 0, t].numpy())
        if landmarks:
            picture = with_points(picture, points[t], _SIDE / frames.shape[1], 1.25)
        write(picture, f"{t + 1}", (3, _SIDE - 4), 0.35, (255, 255, 255))
        pictures.append(picture)
    return np.hstack(pictures)


def _bars(row: pd.Series, name: str) -> np.ndarray:
    """The probability of each class, (`_SIDE`, `_BARS`, 3): the true class blue, a wrong prediction vermilion."""
    panel = np.full((_SIDE, _BARS, 3), 255, np.uint8)
    shares = row.filter(like="p_")
    write(panel, name[:34], (8, 10), 0.35)
    step = (_SIDE - 14) / len(shares)
    for k, (column, share) in enumerate(shares.items()):
        emotion, top = str(column).removeprefix("p_"), round(14 + k * step)
        colour = CROP if emotion == row["label"] else NO_FACE if emotion == row["prediction"] else (150, 150, 150)
        end = 80 + round(float(share) * (_BARS - 130))
        cv2.rectangle(panel, (80, top + 1), (end, round(top + step) - 2), colour, -1)
        place = round(top + step) - 3
        for text, x in ((emotion, 8), (f"{share:.0%}", end + 4)):
            write(panel, text, (x, place), 0.33)
    return panel


def _line(text: str, size: float = 0.42) -> np.ndarray:
    line = np.full((26, _SIDE * _FRAMES + 2 * _BARS, 3), 255, np.uint8)
    write(line, text, (4, 18), size)
    return line


def _stack(bands: list[np.ndarray]) -> np.ndarray:
    """The bands below one another, on as much white as `SHOWN` clips need: the layout stays as it is."""
    height = 26 + SHOWN * (26 + _SIDE + 8)
    page, top = np.full((height, bands[0].shape[1], 3), 255, np.uint8), 0
    for band in bands:
        page[top : top + len(band), : band.shape[1]] = band
        top += len(band) + (8 if len(band) == _SIDE else 0)
    return page
