"""One function per figure: arrays and tables in, a matplotlib ``Figure`` out.

Figures 3 to 5 of the paper and those of the notebooks; Figures 1 and 2 are in `drawings`. No function reads a file or
computes a result. All palettes suit colour-blind readers: seaborn's "colorblind" for categories, cividis and blues for
amounts.
"""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Polygon
from matplotlib.ticker import EngFormatter, MaxNLocator

from fer3d import files
from fer3d.evaluation import canvas
from fer3d.evaluation.canvas import BLUE, GREY, ORANGE, PALETTE, SEQUENTIAL, SKY, VERMILION


def save(figure: Figure, stem: Path, numbers: pd.DataFrame) -> None:
    """Write ``stem`` + ``.png`` and ``.svg``, and the plotted numbers as ``.csv``."""
    for suffix, metadata in ((".png", {"Software": "fer3d"}), (".svg", {"Date": None, "Creator": "fer3d"})):
        with files.atomic(stem.with_name(stem.name + suffix)) as temporary, matplotlib.rc_context(_SVG):
            figure.savefig(temporary, format=suffix[1:], metadata=metadata)
    files.write_csv(stem.with_name(stem.name + ".csv"), numbers)


_SVG: Any = {"svg.hashsalt": "fer3d", "svg.fonttype": "none"}
"""A figure always gives the same bytes, and its words stay text."""


# ---------------------------------------------------------------- databases and clips


def class_counts(counts: pd.DataFrame, title: str) -> Figure:
    """Number of items per class. ``counts``: classes x databases, whole numbers."""
    figure, (axes,) = canvas.new(8, 0.8 + (0.1 + 0.13 * counts.shape[1]) * len(counts), title)
    _grouped_bars(axes, counts, "barh")
    _label_bars(axes, fmt=lambda count: f"{count:.0f}" if count else "", fontsize=8)
    axes.set(xlabel="clips", ylabel="", xlim=(0, counts.to_numpy().max() * 1.12 + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _hide_frame(figure)
    return figure


def heatmap(table: pd.DataFrame, title: str, unit: str = "") -> Figure:
    """A table as coloured cells with their numbers, and a scale if they have a unit; a missing number stays white."""
    rows, columns = table.shape
    rotated = columns > 4
    letters = 0 if rotated else max(len(line) for name in table.columns for line in str(name).split("\n"))
    names = max(len(str(name)) for name in table.index)
    height = max(1.6 + 0.36 * rows, 0.9 + 0.08 * len(str(table.index.name or "")))  # room for the name of the rows
    figure, (axes,) = canvas.new(1 + 0.09 * names + max(0.75, 0.1 * letters) * columns, height, title)
    canvas.cells(axes, table.to_numpy(float), "Blues", "{:.0f}", list(table.index), list(table.columns))
    axes.set(xlabel=table.columns.name or "", ylabel=table.index.name or "")
    if unit:
        figure.colorbar(axes.collections[0], ax=axes, label=unit)
    if rotated:
        axes.tick_params(axis="x", labelrotation=30)
    return figure


def film_strip(
    frames: np.ndarray, title: str, landmarks: np.ndarray | None = None, captions: Sequence[str] = (), columns: int = 5
) -> Figure:
    """Frames side by side. ``frames`` (T, H, W, 3) uint8; ``landmarks`` (T, L, 2) in pixels, NaN where missing."""
    rows = -(-len(frames) // columns)
    height = 9 / columns * _aspect(frames[0])
    figure, panels = canvas.new(9, rows * (height + 0.15) + 0.35, title, rows, columns)
    for t, axes in enumerate(panels):
        axes.set_axis_off()
        if t < len(frames):
            canvas.face(axes, frames[t], None if landmarks is None else landmarks[t])
            axes.set_title(captions[t] if captions else f"frame {t + 1}", fontsize=9)
    return figure


def film_strips(strips: Mapping[str, np.ndarray], title: str) -> Figure:
    """Several clips of equal length, one per row: name to frames (T, H, W, 3) uint8."""
    length = len(next(iter(strips.values())))
    heights = [9 / length * _aspect(frames[0]) + 0.3 for frames in strips.values()]
    figure = canvas.empty(9, sum(heights) + 0.35, title)
    bands = figure.subfigures(len(strips), squeeze=False, height_ratios=heights)
    for band, (name, frames) in zip(bands.flat, strips.items(), strict=True):
        band.suptitle(name, fontsize=9)
        for axes, frame in zip(band.subplots(1, length), frames, strict=True):
            axes.imshow(frame)
            axes.set_axis_off()
    return figure


def _aspect(frame: np.ndarray) -> float:
    """Height of a frame (H, W, 3) per width."""
    return frame.shape[0] / frame.shape[1]


def crop(
    frame: np.ndarray,
    landmarks: np.ndarray,
    boxes: Mapping[str, np.ndarray],
    cropped: np.ndarray,
    cropped_landmarks: np.ndarray,
    title: str,
) -> Figure:
    """A frame with its landmarks and named boxes (4 corners each), beside the stored crop."""
    figure, (before, after) = canvas.new(9, 4.4, title, 1, 2)
    canvas.face(before, frame, landmarks, size=5)
    for (name, corners), colour in zip(boxes.items(), (ORANGE, SKY), strict=False):
        before.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=2, label=name))
    before.legend(loc="lower left", fontsize=8)
    canvas.face(after, cropped, cropped_landmarks, size=12)
    for axes, image, name in ((before, frame, "frame"), (after, cropped, "crop")):
        axes.set(xlabel=f"x, pixels of the {name}", ylabel="y, pixels")
        axes.set_title(f"{name}, {image.shape[1]} x {image.shape[0]}", fontsize=10)
    return figure


def detection(scores: Sequence[float], reasons: Mapping[str, int], title: str) -> Figure:
    """Detection scores per frame (NaN: no face found) with the boundary at 0, and how often each reason to reject."""
    import seaborn  # takes a second, which most figures do without

    figure, (left, right) = canvas.new(9, 3, title, 1, 2)
    seaborn.histplot(np.asarray(scores, float), bins=20, color=BLUE, alpha=1, edgecolor="white", ax=left)
    left.axvline(0, color=VERMILION, linewidth=1.5, label="0: no face below")
    left.legend(fontsize=8, loc="upper left")
    left.set(xlabel="detection score", ylabel="frames")
    left.set_title(f"n = {np.isfinite(scores).sum()} frames with a face", fontsize=10)
    names = list(reasons) or ["nothing rejected"]
    seaborn.barplot(x=[reasons.get(name, 0) for name in names], y=names, color=VERMILION, saturation=1, ax=right)
    _label_bars(right)
    right.set(xlabel="rejected", xlim=(0, max([1, *reasons.values()]) * 1.15))
    right.set_title(f"n = {sum(reasons.values())} rejected", fontsize=10)
    _hide_frame(figure)
    return figure


def clip_cuts(lengths: Mapping[str, int], cuts: Mapping[str, Sequence[int]], num_frames: int, title: str) -> Figure:
    """A grey bar per sequence (``lengths`` in frames), on it a bar per clip. ``cuts``: first frame of each clip."""
    figure, (axes,) = canvas.new(9, 1.1 + 0.26 * len(lengths), title)
    for row, (name, length) in enumerate(lengths.items()):
        axes.barh(row, length, 0.8, color="#D9D9D9")
        for k, first in enumerate(cuts.get(name, ())):
            axes.barh(row, num_frames - 0.6, 0.5, left=first + 0.3, color=PALETTE[k % 2])
    axes.set(xlabel="frame", yticks=range(len(lengths)), yticklabels=list(lengths))
    axes.tick_params(axis="y", labelsize=8)
    axes.invert_yaxis()
    _hide_frame(figure)
    return figure


# ---------------------------------------------------------------- landmark filters


def weights(grid: np.ndarray, title: str) -> Figure:
    """A small landmark filter (G, G), each weight written in its cell."""
    figure, (axes,) = canvas.new(5.6, 5, title)
    canvas.cells(axes, grid, SEQUENTIAL, "{:.1f}", vmin=0, vmax=1)
    axes.set(aspect="equal", xlabel="column of the grid", ylabel="row of the grid")
    return figure


def face_filters(image: np.ndarray, landmarks: np.ndarray, filters: Mapping[str, np.ndarray], title: str) -> Figure:
    """The paper's Figure 3: a face with its landmarks (L, 2) and the filters (G, G) made from them."""
    figure, panels = canvas.new(3.1 * (1 + len(filters)), 3.2, title, 1, 1 + len(filters))
    canvas.face(panels[0], image, landmarks, size=7)
    panels[0].set_title(f"{len(landmarks)} landmarks", fontsize=10)
    panels[0].set(xlabel="x, pixels", ylabel="y, pixels")
    for axes, (name, grid) in zip(panels[1:], filters.items(), strict=True):
        axes.imshow(grid, cmap=SEQUENTIAL, vmin=0, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set(xlabel="column of the grid", ylabel="row")
    figure.colorbar(panels[-1].images[0], ax=panels[1:], label="weight", shrink=0.8)
    return figure


def maps(grids: Mapping[str, np.ndarray], title: str, unit: str, columns: int = 4, shared: bool = True) -> Figure:
    """Small maps (G, G) side by side, on one colour scale or (``shared=False``) each on its own."""
    rows = -(-len(grids) // columns)
    figure, panels = canvas.new(
        2.4 * min(columns, len(grids)) + 0.6, 2.6 * rows + 0.5, title, rows, min(columns, len(grids))
    )
    limits = (min(g.min() for g in grids.values()), max(g.max() for g in grids.values()))
    for axes in panels:
        axes.set_axis_off()
    for axes, (name, grid) in zip(panels, grids.items(), strict=False):
        low, high = limits if shared else (grid.min(), grid.max())
        drawn = axes.imshow(grid, cmap=SEQUENTIAL, vmin=low, vmax=high)
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
    "head": "LSTM, linear",
    "landmark_stream": "landmarks' motion",
    "shape_stream": "landmarks' places",
}
"""The stages of `summary.shape_table` as Figure 2 calls them, and the landmark streams, which are not in it."""


def stage_costs(stages: pd.DataFrame, title: str) -> Figure:
    """Parameters and multiply-adds per stage, from a shape table."""
    figure, panels = canvas.new(9, 0.9 + 0.34 * len(stages), title, 1, 2)
    names = [STAGE_TITLES[stage] for stage in stages["stage"]]
    measures = (("parameters", stages["parameters"], BLUE), ("multiply-adds per clip", stages["gmac"] * 1e9, ORANGE))
    for axes, (unit, amounts, colour) in zip(panels, measures, strict=True):
        axes.barh(names, amounts, color=colour)
        axes.invert_yaxis()
        _label_bars(axes, labels=[f"{share:.0%}" for share in amounts / amounts.sum()], fontsize=9)
        axes.set(xlabel=unit, xlim=(0, amounts.max() * 1.15))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[1].set_yticklabels([])
    _hide_frame(figure)
    return figure


def kernels(weight: np.ndarray, title: str) -> Figure:
    """The first eight kernels of a layer ``weight`` (O, 3, T, k, k): one column per kernel, one row per time step."""
    shown = weight[:8]
    n, _, depth = shown.shape[:3]
    figure, panels = canvas.new(1.05 * n + 0.4, 1.1 * depth + 0.5, title, depth, n)
    for axes, (t, o) in zip(panels, np.ndindex(depth, n), strict=True):
        kernel = shown[o].transpose(1, 2, 3, 0)
        axes.imshow((kernel[t] - kernel.min()) / max(np.ptp(kernel), 1e-12))
    _label_edges(panels, [f"time {t - depth // 2:+d}" for t in range(depth)], [f"channel {o}" for o in range(n)])
    return figure


def activations(stages: Mapping[str, np.ndarray], frames: Sequence[int], title: str) -> Figure:
    """One channel per stage: name to (T, H, W). One row per stage, each on its own scale; one column per frame.

    ``frames`` are indices; the captions count from 1.
    """
    figure, panels = canvas.new(1.25 * len(frames) + 0.5, 1.25 * len(stages) + 0.6, title, len(stages), len(frames))
    for axes, (volume, t) in zip(panels, itertools.product(stages.values(), frames), strict=True):
        axes.imshow(volume[t], cmap=SEQUENTIAL, vmin=volume.min(), vmax=volume.max())
    names = [f"{name}\n{volume.shape[1]} x {volume.shape[2]}" for name, volume in stages.items()]
    _label_edges(panels, names, [f"frame {t + 1}" for t in frames])
    return figure


def class_bars(values: pd.DataFrame, title: str, unit: str) -> Figure:
    """One value per class and case. ``values``: classes x cases."""
    figure, (axes,) = canvas.new(9, 3, title)
    _grouped_bars(axes, values, "bar")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="", ylabel=unit)
    _hide_frame(figure)
    return figure


# ---------------------------------------------------------------- training and results


def curves(logs: Mapping[str, pd.DataFrame], held_out: Mapping[str, float], title: str) -> Figure:
    """Loss and accuracy on the training clips per epoch, one line per training, and the accuracy on held-out clips.

    Args:
        logs: by name, columns ``epoch``, ``loss``, ``train_accuracy``.
        held_out: the accuracy on the held-out clips after the last epoch, by the same names.
        title: of the figure.
    """
    figure, panels = canvas.new(9.5, 3, title, 1, 2)
    highest = max(log["loss"].max() for log in logs.values())
    styles = list(itertools.product(("-", "--"), PALETTE))
    for axes, column in zip(panels, ("loss", "train_accuracy"), strict=True):
        for (dashes, colour), (training, log) in zip(itertools.cycle(styles), logs.items(), strict=False):
            marker = "." if len(log) < 50 else ""
            axes.plot(log["epoch"], log[column], marker + dashes, color=colour, label=training)
            if column == "train_accuracy":
                end = log["epoch"].max()
                words = f"{training}, held out" if len(logs) > 1 else "held out"
                axes.plot(
                    end, held_out[training], "*", color=colour, ms=13, mec="black", label=words, clip_on=False, zorder=3
                )
        axes.set(xlabel="epoch", ylabel="training loss" if column == "loss" else "accuracy")
        axes.set_ylim(0, 1.05 * max(highest, 1e-9) if column == "loss" else 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[1].legend(**_BESIDE)
    _hide_frame(figure)
    return figure


MOST_WINDOWS = 500
"""Windows that are drawn beside each other in a timeline."""
MOST_PEOPLE = 20
"""Panels of a timeline: drawing one takes a quarter of a second, and 300 are higher than a picture can be."""


def _pooled(windows: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """The windows of a person, or the means of those whose middles lie in one of `MOST_WINDOWS` parts of the time."""
    if len(windows) <= MOST_WINDOWS:
        return windows
    part = (windows["start"] + windows["end"]) / 2 // (seconds / MOST_WINDOWS)
    parts = windows.groupby(part)
    return parts.mean(numeric_only=True).assign(start=parts["start"].min(), end=parts["end"].max())


def timeline(people: Mapping[str, pd.DataFrame], classes: Sequence[str], seconds: float, title: str) -> Figure:
    """Probabilities over the time of a recording, one panel a person: at most `MOST_PEOPLE`, as the title then says.

    Args:
        people: for each panel's title a table with ``start`` and ``end`` of each window in seconds and its
            ``p_<emotion>``. Where no window is, the panel is grey. Of many windows (`MOST_WINDOWS`) the mean of
            neighbours is drawn; where windows overlap, the later one.
        classes: the rows, from top to bottom.
        seconds: length of the recording.
        title: of the figure.
    """
    if len(people) > MOST_PEOPLE:
        title += f", {MOST_PEOPLE} of {len(people)} people with the most windows"
        most = sorted(people, key=lambda name: -len(people[name]))[:MOST_PEOPLE]
        people = {name: windows for name, windows in people.items() if name in most}
    height = 0.24 * len(classes) + 0.75
    figure, panels = canvas.new(9, max(1, len(people)) * height + 0.6, drawable(title), max(1, len(people)), 1)
    seconds = max(seconds, 0.01)  # a still image takes no time
    for axes, (name, windows) in zip(panels, people.items(), strict=False):
        axes.set_title(name, fontsize=10, loc="left")
        shown = _pooled(windows, seconds)
        probabilities = shown[[f"p_{each}" for each in classes]].to_numpy()
        start = shown["start"].to_numpy()
        end = np.maximum(shown["end"].to_numpy(), start + seconds / MOST_WINDOWS)
        edges = np.unique(np.concatenate([start, end, [0.0, seconds]]))  # at least one cell where nobody is seen
        colours = np.full((len(classes), len(edges) - 1), np.nan)
        for values, first, behind in zip(probabilities, *np.searchsorted(edges, (start, end)), strict=True):
            colours[:, first:behind] = values[:, None]
        rows = np.arange(len(classes) + 1) - 0.5
        axes.pcolormesh(edges, rows, colours, cmap=SEQUENTIAL, vmin=0, vmax=1, rasterized=True)
        axes.plot((start + end) / 2, probabilities.argmax(1), ".", color="black", mec="white", mew=0.6, ms=7)
    for axes in panels:
        axes.set_facecolor("0.85")
        axes.set(xlim=(0, seconds), ylim=(len(classes) - 0.5, -0.5))
        axes.set_yticks(range(len(classes)), [drawable(name) for name in classes], fontsize=8)
        axes.grid(False)
    if not people:
        panels[0].text(0.5, 0.5, "no face found", transform=panels[0].transAxes, ha="center", va="center")
    panels[-1].set_xlabel("seconds (dot: the label; grey: no prediction)")
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, 1), SEQUENTIAL)
    figure.colorbar(scale, ax=panels, label="probability", fraction=0.04)
    return figure


def confusion(matrix: np.ndarray, labels: Sequence[str], title: str) -> Figure:
    """A panel of the paper's Figures 4 and 5. ``matrix`` (K, K): clips, rows true classes.

    The colour is the share of the row; a cell gives the share and the number of clips.
    """
    figure, (axes,) = canvas.new(2.4 + 0.72 * len(labels), 1.7 + 0.56 * len(labels), title)
    _confusion(axes, matrix, labels, "{share:.0%}\n{n}")
    figure.colorbar(axes.collections[0], ax=axes, label="share of the true class", shrink=0.8)
    return figure


def confusions(panels: Mapping[str, tuple[np.ndarray, Sequence[str]]], title: str) -> Figure:
    """All panels of the paper's Figures 4 or 5, two in a row, with the shares of the rows.

    Args:
        panels: by their titles, a matrix (K, K) as for `confusion` and its K labels.
        title: of the figure.
    """
    rows, columns = -(-len(panels) // 2), min(2, len(panels))
    figure, places = canvas.new(5.3 * columns, 4.3 * rows + 0.3, title, rows, columns)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, (name, (matrix, labels)) in zip(places, panels.items(), strict=False):
        _confusion(axes, matrix, labels, "{share:.0%}")
        axes.set_title(name, fontsize=10)
    return figure


def _confusion(axes: Axes, matrix: np.ndarray, labels: Sequence[str], written: str) -> None:
    """A confusion matrix (K, K); ``written``: what a cell with clips says of its ``share`` and ``n``."""
    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    cells = np.vectorize(lambda share, n: written.format(share=share, n=n) if n else "")(shares, matrix)
    true = [f"{name} ({total})" for name, total in zip(labels, totals[:, 0], strict=True)]
    canvas.cells(axes, shares, "Blues", cells, true, labels, vmin=0, vmax=1)
    axes.set(xlabel="predicted class", ylabel="true class (clips)")
    axes.tick_params(axis="x", labelrotation=35)


def rates(table: pd.DataFrame, title: str) -> Figure:
    """Accuracy, UAR, majority-class baseline and the paper's rate, one row per result.

    Columns: ``name``, ``n`` and the shares ``accuracy``, ``low``, ``high``, ``uar``, ``majority``, ``paper`` (or NaN).
    """
    figure, (axes,) = canvas.new(9, 1.5 + 0.5 * len(table), title)
    rows = np.arange(len(table))
    errors = np.abs(table[["low", "high"]].to_numpy(float).T - table["accuracy"].to_numpy(float))
    intervals = axes.errorbar(table["accuracy"], rows, xerr=errors, fmt="o", color=BLUE, capsize=4)
    intervals.set_label("accuracy, 95 % interval")
    uar = axes.plot(table["uar"], rows + 0.16, "D", color=ORANGE, label="UAR")
    majority = axes.plot(table["majority"], rows - 0.16, "P", color=VERMILION, markersize=9, label="majority class")
    paper = axes.plot(table["paper"], rows, "*", color="black", markersize=11, label="paper, licensed data")
    names = [f"{textwrap.fill(name, 32)}\nn = {n}" for name, n in zip(table["name"], table["n"], strict=True)]
    axes.set_yticks(rows, names)
    axes.set(xlim=(0, 1.02), ylim=(len(table) - 0.5, -0.5), xlabel="accuracy: share of clips; UAR: mean recall")
    axes.legend(handles=[intervals, *uar, *majority, *paper], **_BESIDE)
    _hide_frame(figure)
    return figure


def occlusion(face: np.ndarray, lost: np.ndarray, weights: np.ndarray, title: str) -> Figure:
    """The face, what covering each patch costs in logit, and the mean weight of the filter in it, both (R, R)."""
    figure, panels = canvas.new(9.4, 3, title, 1, 3)
    canvas.face(panels[0], face, None)
    panels[0].set_title("last frame of the first clip", fontsize=10)
    limit = max(float(np.abs(lost).max()), 1e-6)
    drawn = panels[1].imshow(lost, cmap=canvas.SIGNED, vmin=-limit, vmax=limit)
    figure.colorbar(drawn, ax=panels[1], label="cost, logit", shrink=0.75)
    panels[1].set_title("cost of covering a patch", fontsize=10)
    drawn = panels[2].imshow(weights, cmap=SEQUENTIAL, vmin=0, vmax=1)
    figure.colorbar(drawn, ax=panels[2], label="weight", shrink=0.75)
    panels[2].set_title("mean weight of the filter", fontsize=10)
    for axes, unit in zip(panels, ("pixels", "patches", "patches"), strict=True):
        axes.set(xlabel=f"column, {unit}", ylabel="row")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


def inflation(table: pd.DataFrame, title: str) -> Figure:
    """Accuracy with and without each evaluation mistake. Columns: ``name``, ``honest`` and ``inflated`` (shares)."""
    figure, (axes,) = canvas.new(9, 1.3 + 0.45 * len(table), title)
    rows = np.arange(len(table))
    axes.hlines(rows, table["honest"], table["inflated"], color="#BBBBBB", linewidth=3)
    axes.plot(table["honest"], rows, "o", color=BLUE, markersize=11, label="honest")
    axes.plot(table["inflated"], rows, "s", color=VERMILION, label="with the mistake")
    axes.set_yticks(rows, list(table["name"]))
    axes.set(xlim=(0, 1.02), ylim=(len(table) - 0.5, -0.5), xlabel="accuracy")
    axes.legend(**_BESIDE)
    _hide_frame(figure)
    return figure


def resampled(draws: Mapping[str, np.ndarray], estimate: float, clips: int, title: str) -> Figure:
    """A rate in many bootstrap draws, one histogram per way to draw, with its middle 95 % and the observed rate.

    Each bin holds equally many of the rates k / ``clips``: otherwise some bars would be higher for no other reason.
    """
    figure, panels = canvas.new(9, 1.2 + 1.4 * len(draws), title, len(draws), 1)
    everything = np.concatenate(list(draws.values()))
    low, high = clips * everything.min() - 2, clips * everything.max() + 2
    wide = max(1, round((high - low) / 40))
    bins = (np.arange(np.floor(low), high + wide, wide) - 0.5) / clips
    for axes, colour, (name, values) in zip(panels, PALETTE, draws.items(), strict=False):
        axes.axvspan(*np.quantile(values, (0.025, 0.975)), color="0.88", label="middle 95 %")
        axes.hist(values, bins.tolist(), color=colour)
        axes.axvline(estimate, color="black", linewidth=1.2, label="observed")
        axes.set(ylabel="draws", xlim=(bins[0], bins[-1]))
        axes.set_title(name, fontsize=10, loc="left")
    panels[0].legend(**_BESIDE)
    panels[-1].set_xlabel("accuracy")
    _hide_frame(figure)
    return figure


def weight_against_cost(weights: np.ndarray, costs: np.ndarray, title: str) -> Figure:
    """The filter's weight in each patch (N,) against the cost of covering it, and the mean in each fifth."""
    figure, (axes,) = canvas.new(7, 3.2, title)
    axes.plot(weights, costs, ".", color=GREY, markersize=4, label="one patch of one clip")
    edges = np.linspace(weights.min(), weights.max() + 1e-9, 6)
    fifth = np.digitize(weights, edges) - 1
    means = [(weights[fifth == k].mean(), costs[fifth == k].mean()) for k in range(5) if (fifth == k).any()]
    axes.plot(*zip(*means, strict=True), "o-", color=BLUE, markersize=8, label="mean in each fifth of the weights")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="mean weight of the filter in the patch", ylabel="cost of covering it, logit")
    axes.legend(**_BESIDE)
    _hide_frame(figure)
    return figure


def distributions(values: Mapping[str, Mapping[str, np.ndarray]], title: str) -> Figure:
    """Violin plots: measure to (group to values). One panel per measure, one violin per group, with its n."""
    import seaborn

    figure, panels = canvas.new(3.1 * len(values), 3.2, title, 1, len(values))
    for axes, (measure, groups) in zip(panels, values.items(), strict=True):
        seaborn.violinplot(groups, palette=PALETTE[: len(groups)], saturation=1, cut=0, inner="quart", ax=axes)
        names = [f"{name}\nn = {len(v)}".replace(" (", "\n(") for name, v in groups.items()]
        axes.set_xticks(range(len(groups)), names)
        axes.set_ylabel(measure)
        axes.tick_params(axis="x", labelsize=8)
    _hide_frame(figure)
    return figure


# ---------------------------------------------------------------- shared by the above


def drawable(text: str) -> str:
    """The text with ``?`` for each character that the figures' font lacks, of which matplotlib would warn."""
    fonts = [get_font(findfont(FontProperties(weight=weight))) for weight in ("normal", "bold")]
    there = (letter.isspace() or all(font.get_char_index(ord(letter)) for font in fonts) for letter in text)
    return "".join(letter if known else "?" for letter, known in zip(text, there, strict=True))


_BESIDE: Any = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "frameon": False, "fontsize": 9}
"""Options of a legend to the right of its chart."""


def _label_edges(panels: Sequence[Axes], rows: Sequence[str], columns: Sequence[str]) -> None:
    """Names of the rows at the left and of the columns at the top of a grid of pictures without ticks."""
    for axes in panels:
        axes.set(xticks=[], yticks=[])
    for axes, name in zip(panels, columns, strict=False):
        axes.set_title(name, fontsize=9)
    for axes, name in zip(panels[:: len(columns)], rows, strict=True):
        axes.set_ylabel(name, fontsize=9)


def _hide_frame(figure: Figure) -> None:
    """Leave only the lines with ticks, at the left and below."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)


def _grouped_bars(axes: Axes, table: pd.DataFrame, kind: Literal["bar", "barh"]) -> None:
    """Bars of a table (classes x groups), upright or lying: one colour per group."""
    table.plot(kind=kind, ax=axes, color=PALETTE, width=0.8, rot=0)
    axes.legend(axes.containers, table.columns, **_BESIDE)  # by themselves names that begin with _ would be left out
    if kind == "barh":
        axes.invert_yaxis()


def _label_bars(axes: Axes, **options: Any) -> None:
    """Write at the end of each bar its value or, of ``labels``, its own."""
    bars: Any
    for bars in axes.containers:
        axes.bar_label(bars, padding=3, **options)
