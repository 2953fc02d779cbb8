"""One function a figure: arrays and tables in, a matplotlib ``Figure`` out.

Figures 2 to 5 of the paper and the ones that the notebooks teach with. Nothing here
reads a file or computes a result. Every colour is from a palette that colour-blind
readers can tell apart (Okabe and Ito's for things, cividis and blues for amounts).
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.ticker import EngFormatter, MaxNLocator

from fer3d import files

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#8A8A8A",
)
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
AMOUNT = "cividis"


def save(figure: Figure, stem: Path, numbers: pd.DataFrame) -> None:
    """Write ``stem`` + ``.png``, ``.svg`` and, beside them, the numbers drawn as ``.csv``."""
    for suffix, metadata in ((".png", {"Software": "fer3d"}), (".svg", {"Date": None, "Creator": "fer3d"})):
        with files.atomic(stem.with_name(stem.name + suffix)) as temporary, matplotlib.rc_context(_SVG):
            figure.savefig(temporary, format=suffix[1:], metadata=metadata)
    files.write_csv(stem.with_name(stem.name + ".csv"), numbers)


_SVG: Any = {"svg.hashsalt": "fer3d", "svg.fonttype": "none"}
"""The same figure gives the same bytes, and its words stay text."""


# ---------------------------------------------------------------- databases and clips


def class_counts(counts: pd.DataFrame, title: str) -> Figure:
    """Bars of how many there are of each class. ``counts``: classes x databases, whole numbers."""
    figure, (axes,) = _new(8, 0.8 + (0.1 + 0.13 * counts.shape[1]) * len(counts), title)
    height = 0.8 / counts.shape[1]
    places = np.arange(len(counts))
    for k, (name, column) in enumerate(counts.items()):
        bars = axes.barh(places + (k + 0.5) * height - 0.4, column, height * 0.9, color=PALETTE[k], label=name)
        axes.bar_label(bars, [str(count) if count else "" for count in column], padding=3, fontsize=8)
    axes.set(yticks=places, yticklabels=list(counts.index), xlabel="number")
    axes.set_xlim(0, counts.to_numpy().max() * 1.12 + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.invert_yaxis()
    _legend_beside(axes)
    return _open(figure)


def table_map(table: pd.DataFrame, title: str) -> Figure:
    """A table as coloured cells with its numbers in them; a missing number stays white."""
    rows, columns = table.shape
    turned = columns > 4
    letters = 0 if turned else max(len(str(name)) for name in table.columns)
    names = max(len(str(name)) for name in table.index)
    figure, (axes,) = _new(1 + 0.09 * names + max(0.75, 0.1 * letters) * columns, 1.6 + 0.36 * rows, title)
    _cells(axes, table.astype(float), "Blues", fmt=".0f")
    axes.set(xlabel=table.columns.name or "", ylabel=table.index.name or "")
    if turned:
        axes.tick_params(axis="x", labelrotation=30)
    return figure


def film_strip(
    frames: np.ndarray,
    title: str,
    points: np.ndarray | None = None,
    captions: Sequence[str] = (),
    columns: int = 5,
) -> Figure:
    """Frames side by side. ``frames`` (T, H, W, 3) uint8; ``points`` (T, L, 2) in pixels, NaN where missing."""
    rows = -(-len(frames) // columns)
    side = 9 / columns
    figure, panels = _new(9, rows * (side + 0.15) + 0.35, title, rows, columns)
    for t, axes in enumerate(panels):
        axes.set_axis_off()
        if t < len(frames):
            _face(axes, frames[t], None if points is None else points[t])
            axes.set_title(captions[t] if captions else f"frame {t}", fontsize=9)
    return figure


def film_strips(strips: Mapping[str, np.ndarray], title: str) -> Figure:
    """Several clips under each other: name to frames (T, H, W, 3) uint8, every clip of the same length."""
    length = len(next(iter(strips.values())))
    figure = Figure(figsize=(9, (9 / length + 0.3) * len(strips) + 0.35), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=11, weight="bold")
    for band, (name, frames) in zip(figure.subfigures(len(strips), squeeze=False).flat, strips.items(), strict=True):
        band.suptitle(name, fontsize=9)
        for axes, frame in zip(band.subplots(1, length), frames, strict=True):
            axes.imshow(frame)
            axes.set_axis_off()
    return figure


def crop(
    frame: np.ndarray,
    landmarks: np.ndarray,
    boxes: Mapping[str, np.ndarray],
    cropped: np.ndarray,
    cropped_landmarks: np.ndarray,
    title: str,
) -> Figure:
    """Before and after: a frame with its landmarks and named boxes (4 corners each), and the crop that is stored."""
    figure, (before, after) = _new(9, 4.4, title, 1, 2)
    _face(before, frame, landmarks, size=5)
    for (name, corners), colour in zip(boxes.items(), (ORANGE, SKY), strict=False):
        before.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=2, label=name))
    before.legend(loc="lower left", fontsize=8)
    _face(after, cropped, cropped_landmarks, size=12)
    for axes, image, name in ((before, frame, "frame"), (after, cropped, "crop")):
        axes.set(xlabel=f"x, pixels of the {name}", ylabel="y, pixels")
        axes.set_title(f"{name}, {image.shape[1]} x {image.shape[0]}", fontsize=10)
    return figure


def detection(scores: Sequence[float], reasons: Mapping[str, int], title: str) -> Figure:
    """How sure the detector was of each frame (NaN: no face), and what was left out why (reason: how many)."""
    figure, (left, right) = _new(9, 3, title, 1, 2)
    left.hist(np.asarray(scores, float), bins=20, color=BLUE)
    left.set(xlabel="detection score of a frame", ylabel="frames")
    left.set_title(f"n = {np.isfinite(scores).sum()} frames with a face", fontsize=10)
    names = list(reasons) or ["nothing rejected"]
    bars = right.barh(names, [reasons.get(name, 0) for name in names], color=VERMILION)
    right.bar_label(bars, padding=3)
    right.set(xlabel="rejected", xlim=(0, max([1, *reasons.values()]) * 1.15))
    right.set_title(f"n = {sum(reasons.values())} rejected", fontsize=10)
    right.invert_yaxis()
    return _open(figure)


def clip_cuts(lengths: Mapping[str, int], cuts: Mapping[str, Sequence[int]], num_frames: int, title: str) -> Figure:
    """Where clips are cut: a grey bar a sequence, on it a coloured bar a clip. ``cuts``: each clip's first frame."""
    figure, (axes,) = _new(9, 1.1 + 0.26 * len(lengths), title)
    for row, (name, length) in enumerate(lengths.items()):
        axes.barh(row, length, 0.8, color="#D9D9D9")
        for k, first in enumerate(cuts.get(name, ())):
            axes.barh(row, num_frames - 0.6, 0.5, left=first + 0.3, color=PALETTE[k % 2])
    axes.set(xlabel="frame of the sequence", yticks=range(len(lengths)), yticklabels=list(lengths))
    axes.tick_params(axis="y", labelsize=8)
    axes.invert_yaxis()
    return _open(figure)


# ---------------------------------------------------------------- landmark filters


def weights(grid: np.ndarray, title: str) -> Figure:
    """The weights round landmarks on a small ``grid`` (G, G), each number in its cell."""
    figure, (axes,) = _new(5.6, 5, title)
    _cells(axes, grid, AMOUNT, fmt=".1f", vmin=0, vmax=1)
    axes.set(xlabel="column of the grid", ylabel="row of the grid")
    return figure


def face_filters(image: np.ndarray, points: np.ndarray, filters: Mapping[str, np.ndarray], title: str) -> Figure:
    """The paper's Figure 3: a face with its points (L, 2) and the filters (G, G) made from them."""
    figure, panels = _new(3.1 * (1 + len(filters)), 3.2, title, 1, 1 + len(filters))
    _face(panels[0], image, points, size=7)
    panels[0].set_title(f"{len(points)} landmarks", fontsize=10)
    panels[0].set(xlabel="x, pixels", ylabel="y, pixels")
    drawn = None
    for axes, (name, grid) in zip(panels[1:], filters.items(), strict=True):
        drawn = axes.imshow(grid, cmap=AMOUNT, vmin=0, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set(xlabel="column of the grid", ylabel="row")
    if drawn is not None:
        figure.colorbar(drawn, ax=panels[1:], label="weight", shrink=0.8)
    return figure


def maps(grids: Mapping[str, np.ndarray], title: str, unit: str, columns: int = 4, shared: bool = True) -> Figure:
    """Small maps (G, G) side by side, on one colour scale or (``shared=False``) each on its own."""
    rows = -(-len(grids) // columns)
    figure, panels = _new(2.4 * min(columns, len(grids)) + 0.6, 2.6 * rows + 0.5, title, rows, min(columns, len(grids)))
    limits = (min(g.min() for g in grids.values()), max(g.max() for g in grids.values()))
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, grid) in zip(panels, grids.items(), strict=False):
        low, high = limits if shared else (grid.min(), grid.max())
        drawn = axes.imshow(grid, cmap=AMOUNT, vmin=low, vmax=high)
        axes.set_title(name, fontsize=9)
        if not shared:
            figure.colorbar(drawn, ax=axes, label=unit, orientation="horizontal", shrink=0.8)
    if shared:
        figure.colorbar(panels[0].images[0], ax=list(panels), label=unit, shrink=0.8)
    return figure


# ---------------------------------------------------------------- the network


STAGE_TITLES = {
    "stem": "stem",
    "block_a": "3DIR-A",
    "reduction_a": "Reduction-A",
    "block_b": "3DIR-B",
    "reduction_b": "Reduction-B",
    "block_c": "3DIR-C",
    "head": "pooling, LSTM,\nlinear layer",
}
"""The stages of `network.shape_table` as Figure 2 calls them."""


def network(stages: pd.DataFrame, filtered: Sequence[str], title: str) -> Figure:
    """The paper's Figure 2, re-drawn from a shape table: a box a stage, the filter on the ``filtered`` ones."""
    figure, (axes,) = _new(9.5, 3.1, title)
    for k, (stage, shape) in enumerate(zip(stages["stage"], stages["shape"], strict=True)):
        colour = GREEN if stage in filtered else (BLUE if stage.startswith("block") else GREY)
        box = FancyBboxPatch((k + 0.08, 0), 0.84, 0.9, "round,pad=0,rounding_size=0.08", facecolor=colour, linewidth=0)
        axes.add_patch(box)
        words: dict[str, Any] = {"ha": "center", "va": "center", "color": "white", "weight": "bold", "fontsize": 9}
        axes.text(k + 0.5, 0.45, STAGE_TITLES[stage], rotation=90, **words)
        axes.text(k + 0.5, -0.1, f"{shape[0]}\n" + " x ".join(map(str, shape[1:])), ha="center", va="top", fontsize=8.5)
        if k:
            axes.add_patch(FancyArrowPatch((k - 0.09, 0.45), (k + 0.09, 0.45), arrowstyle="-|>", mutation_scale=9))
        if stage in filtered:
            arrow = {"arrowstyle": "-|>", "color": GREEN}
            words = {"ha": "center", "color": GREEN, "fontsize": 9, "arrowprops": arrow}
            axes.annotate("landmark filter\nω ∘ x + F(x)", (k + 0.5, 0.9), (k + 0.5, 1.25), **words)
    axes.text(0.08, -0.62, "under each stage: channels, then frames x height x width", fontsize=8.5, color="#555555")
    axes.set(xlim=(0, len(stages)), ylim=(-0.7, 1.6))
    axes.set_axis_off()
    return figure


def stage_costs(stages: pd.DataFrame, title: str) -> Figure:
    """Parameters and multiply-adds by stage, from a shape table."""
    figure, panels = _new(9, 0.9 + 0.34 * len(stages), title, 1, 2)
    names = [STAGE_TITLES[stage].replace("\n", " ") for stage in stages["stage"]]
    measures = (("parameters", stages["parameters"], BLUE), ("multiply-adds a clip", stages["gmac"] * 1e9, ORANGE))
    for axes, (unit, amounts, colour) in zip(panels, measures, strict=True):
        bars = axes.barh(names, amounts, color=colour)
        axes.bar_label(bars, [f"{share:.0%}" for share in amounts / amounts.sum()], padding=3, fontsize=9)
        axes.set(xlabel=unit, xlim=(0, amounts.max() * 1.15))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.invert_yaxis()
    panels[1].set_yticklabels([])
    return _open(figure)


def kernels(weight: np.ndarray, title: str, most: int = 8) -> Figure:
    """The first layer's kernels as frames: ``weight`` (O, 3, T, k, k); a column a kernel, a row a time step."""
    shown = weight[:most]
    n, _, depth = shown.shape[:3]
    figure, panels = _new(1.05 * n + 0.4, 1.1 * depth + 0.5, title, depth, n)
    for axes, (t, o) in zip(panels, ((t, o) for t in range(depth) for o in range(n)), strict=True):
        kernel = shown[o].transpose(1, 2, 3, 0)
        axes.imshow((kernel[t] - kernel.min()) / max(np.ptp(kernel), 1e-12))
        axes.set(xticks=[], yticks=[])
        if t == 0:
            axes.set_title(f"channel {o}", fontsize=9)
        if o == 0:
            axes.set_ylabel(f"time {t - depth // 2:+d}", fontsize=9)
    return figure


def activations(stages: Mapping[str, np.ndarray], frames: Sequence[int], title: str) -> Figure:
    """One channel at each stage over time: name to (T, H, W). A row a stage, scaled alone; a column a frame."""
    figure, panels = _new(1.25 * len(frames) + 0.5, 1.25 * len(stages) + 0.6, title, len(stages), len(frames))
    for row, (name, volume) in enumerate(stages.items()):
        for column, t in enumerate(frames):
            axes = panels[row * len(frames) + column]
            axes.imshow(volume[t], cmap=AMOUNT, vmin=volume.min(), vmax=volume.max())
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(f"frame {t}", fontsize=9)
            if column == 0:
                axes.set_ylabel(f"{name}\n{volume.shape[1]} x {volume.shape[2]}", fontsize=9)
    return figure


def class_bars(values: pd.DataFrame, title: str, unit: str) -> Figure:
    """One value a class for a few cases side by side. ``values``: classes x cases."""
    figure, (axes,) = _new(9, 3, title)
    width = 0.8 / values.shape[1]
    for k, (name, column) in enumerate(values.items()):
        axes.bar(np.arange(len(column)) + (k + 0.5) * width - 0.4, column, width * 0.92, color=PALETTE[k], label=name)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xticks=range(len(values)), xticklabels=list(values.index), ylabel=unit)
    _legend_beside(axes)
    return _open(figure)


# ---------------------------------------------------------------- training and results


def curves(log: pd.DataFrame, title: str) -> Figure:
    """Loss and accuracy on the training clips by epoch. ``log``: columns ``epoch``, ``loss`` and ``train_accuracy``."""
    figure, panels = _new(9, 3, title, 1, 2)
    for axes, column, name in zip(panels, ("loss", "train_accuracy"), ("loss", "accuracy"), strict=True):
        axes.plot(log["epoch"], log[column], marker="." if len(log) < 50 else None, color=BLUE)
        axes.set(xlabel="epoch", ylabel=f"{name} on the training clips")
        axes.set_ylim(0, 1.02 if name == "accuracy" else 1.05 * max(log[column].max(), 1e-9))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _open(figure)


def confusion(matrix: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """The paper's Figures 4 and 5: ``matrix`` (K, K) counts, rows true; the colour is the share of the row."""
    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    figure, (axes,) = _new(2.4 + 0.72 * len(labels), 1.7 + 0.56 * len(labels), title)
    told = [
        [f"{share:.0%}\n{n}" if n else "" for share, n in zip(*row, strict=True)]
        for row in zip(shares, matrix, strict=True)
    ]
    true = [f"{name} ({total})" for name, total in zip(labels, totals[:, 0], strict=True)]
    _cells(axes, shares, "Blues", annot=told, fmt="", vmin=0, vmax=1, xticklabels=labels, yticklabels=true)
    axes.set(xlabel="recognised as", ylabel="true class (clips)")
    axes.tick_params(axis="x", labelrotation=35)
    figure.colorbar(axes.collections[0], ax=axes, label="share of the true class", shrink=0.8)
    return figure


def rates(table: pd.DataFrame, title: str) -> Figure:
    """Recognition rates and the paper's, a row each.

    Columns: ``name``, ``n`` and the shares ``accuracy``, ``low``, ``high``, ``uar``, ``majority``, ``paper`` (or NaN).
    """
    figure, (axes,) = _new(9, 1.5 + 0.5 * len(table), title)
    rows = np.arange(len(table))
    reach = np.abs(table[["low", "high"]].to_numpy(float).T - table["accuracy"].to_numpy(float))
    bars = axes.errorbar(table["accuracy"], rows, xerr=reach, fmt="o", color=BLUE, capsize=4)
    bars.set_label("accuracy, 95 % interval")
    balanced = axes.plot(table["uar"], rows + 0.16, "D", color=ORANGE, label="balanced recall (UAR)")
    majority = axes.plot(table["majority"], rows - 0.16, "P", color=VERMILION, markersize=9, label="majority class")
    printed = axes.plot(table["paper"], rows, "*", color="black", markersize=11, label="paper, licensed data")
    told = [f"{textwrap.fill(name, 32)}\nn = {n}" for name, n in zip(table["name"], table["n"], strict=True)]
    axes.set_yticks(rows, told)
    axes.set(xlim=(0, 1.02), ylim=(len(table) - 0.5, -0.5), xlabel="share of clips")
    _legend_beside(axes, [bars, *balanced, *majority, *printed])
    return _open(figure)


def occlusion(face: np.ndarray, drop: np.ndarray, landmarks: np.ndarray, title: str) -> Figure:
    """Where the network looks: the face, the probability lost by covering each patch (R, R), the landmark filter."""
    figure, panels = _new(9.4, 3, title, 1, 3)
    _face(panels[0], face, None)
    panels[0].set_title("last frame", fontsize=10)
    reach = max(float(np.abs(drop).max()), 1e-6)
    drawn = panels[1].imshow(drop, cmap="PuOr_r", vmin=-reach, vmax=reach)
    figure.colorbar(drawn, ax=panels[1], label="probability lost", shrink=0.75)
    panels[1].set_title("patch covered", fontsize=10)
    drawn = panels[2].imshow(landmarks, cmap=AMOUNT, vmin=0, vmax=1)
    figure.colorbar(drawn, ax=panels[2], label="weight", shrink=0.75)
    panels[2].set_title("landmark filter", fontsize=10)
    for axes, unit in zip(panels, ("pixels", "patches", "cells of the grid"), strict=True):
        axes.set(xlabel=f"column, {unit}", ylabel="row")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


def inflation(table: pd.DataFrame, title: str) -> Figure:
    """What a mistake would have printed. Columns ``name``, ``honest`` and ``inflated`` (shares), a row a mistake."""
    figure, (axes,) = _new(9, 1.3 + 0.45 * len(table), title)
    rows = np.arange(len(table))
    axes.hlines(rows, table["honest"], table["inflated"], color="#BBBBBB", linewidth=3)
    axes.plot(table["honest"], rows, "o", color=BLUE, markersize=11, label="honest")
    axes.plot(table["inflated"], rows, "s", color=VERMILION, label="with the mistake")
    axes.set_yticks(rows, list(table["name"]))
    axes.set(xlim=(0, 1.02), ylim=(len(table) - 0.5, -0.5), xlabel="accuracy")
    _legend_beside(axes)
    return _open(figure)


def distributions(values: Mapping[str, Mapping[str, np.ndarray]], title: str) -> Figure:
    """How groups differ: measure to (group to values); a panel a measure, a box a group, n under it."""
    figure, panels = _new(3.1 * len(values), 3.2, title, 1, len(values))
    for axes, (measure, groups) in zip(panels, values.items(), strict=True):
        boxes = axes.boxplot(
            [np.asarray(v, float) for v in groups.values()],
            tick_labels=[f"{name}\nn = {len(v)}".replace(" stand-in", "\nstand-in") for name, v in groups.items()],
            patch_artist=True,
            widths=0.6,
            medianprops={"color": "black"},
        )
        for k, box in enumerate(boxes["boxes"]):
            box.set_facecolor(PALETTE[k])
        axes.set_ylabel(measure)
        axes.tick_params(axis="x", labelsize=8)
    return _open(figure)


# ---------------------------------------------------------------- shared by the above


def _new(width: float, height: float, title: str, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure outside pyplot (nothing to close), its title, and its axes row by row. Sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # seaborn draws a map once, to see whether its labels overlap
    figure.suptitle(title, fontsize=11, weight="bold")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _open(figure: Figure) -> Figure:
    """Without the upper and right frame: for charts."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _legend_beside(axes: Axes, handles: Sequence[Any] | None = None) -> None:
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))


def _face(axes: Axes, image: np.ndarray, points: np.ndarray | None, size: float = 6) -> None:
    axes.imshow(image)
    if points is not None:
        axes.scatter(points[:, 0], points[:, 1], s=size, color=YELLOW, edgecolors="black", linewidths=0.25)


def _cells(axes: Axes, values: Any, cmap: str, **more: Any) -> None:
    """``values`` as coloured cells with the numbers, or ``annot``, written in; the labels of a table beside them."""
    usual = {"annot": True, "annot_kws": {"fontsize": 9}, "cbar": False, "linewidths": 0.5, "linecolor": "#DDDDDD"}
    seaborn.heatmap(values, ax=axes, cmap=cmap, **(usual | more))
    axes.tick_params(length=3, labelrotation=0)
