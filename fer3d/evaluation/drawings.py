"""The method drawn: the paper's Figures 1 and 2, a 3D convolution, a block with its branches, the LSTM's steps.

Each drawing is made from a network's own tables and values. No function computes a result.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

from fer3d.evaluation import canvas
from fer3d.evaluation.plots import STAGE_TITLES

_FILLS: Mapping[str, str] = {
    "convolution": "#CFE3F3",
    "linear": "#FBE0BB",
    "pool": "#E4E4E4",
    "landmarks": "#C9EBDC",
    "residual": "#F6DCE6",
    "head": "#E3D9EC",
}
"""Light colours, on which black text has a contrast of more than 12 : 1."""


def method(
    frames: np.ndarray,
    landmarks: np.ndarray,
    filters: np.ndarray,
    features: np.ndarray,
    probabilities: pd.Series,
    title: str,
) -> Figure:
    """The paper's Figure 1 on one clip.

    Args:
        frames: (T, H, W, 3) uint8; four of them are drawn.
        landmarks: (T, 66, 2) pixels.
        filters: landmark filters (T, G, G), 0..1.
        features: what the last module gives, one channel (T, g, g).
        probabilities: by class.
        title: of the figure.
    """
    figure = canvas.empty(10, 4.4, title)
    figure.set_layout_engine("none")  # everything has its place
    board = _board(figure, 10, 4.4)
    shown = np.linspace(0, len(frames) - 1, 4).round().astype(int)
    for k, t in enumerate(shown):
        canvas.face(_inset(figure, 0.2 + 0.38 * k, 2.65 - 0.14 * k, 1.3), frames[t], landmarks[t], size=2)
        _map(_inset(figure, 0.2 + 0.38 * k, 0.62 - 0.14 * k, 1.1), filters[t], 1.0)
        _map(_inset(figure, 5.5 + 0.22 * k, 2.65 - 0.14 * k, 0.8), features[t], max(float(features.max()), 1e-9))
    for x, y, words in (
        (0.2, 4.02, "frames and landmarks"),
        (0.2, 1.8, "landmark filters ω"),
        (5.5, 3.55, "feature maps"),
    ):
        board.text(x, y, words, fontsize=9)
    _box(board, 3.35, 2.4, 1.7, 1.1, "3D Inception-\nResNet", "convolution")
    _box(board, 3.35, 0.55, 1.7, 0.8, "shortcut: ω ∘ x\nin 3DIR-A and B", "landmarks")
    _box(board, 7.35, 2.4, 0.85, 1.1, "LSTM", "head")
    for start, end in (((2.72, 2.95), (3.35, 2.95)), ((2.5, 0.95), (3.35, 0.95)), ((4.2, 1.35), (4.2, 2.4))):
        _arrow(board, start, end)
    for start, end in (((5.05, 2.95), (5.5, 2.95)), ((7.0, 2.95), (7.35, 2.95)), ((7.77, 2.4), (7.77, 2.0))):
        _arrow(board, start, end)
    bars = figure.add_axes((0.69, 0.09, 0.27, 0.29))
    bars.barh(list(probabilities.index), probabilities, color=canvas.BLUE)
    bars.invert_yaxis()
    bars.set(xlim=(0, 1))
    bars.set_title("linear layer and softmax: probabilities", fontsize=9)
    bars.tick_params(labelsize=8)
    return figure


def network(stages: pd.DataFrame, filtered: Sequence[str], title: str) -> Figure:
    """The paper's Figure 2 from a shape table: one box per stage, ``filtered`` ones with the landmark filter."""
    figure, (axes,) = canvas.new(10, 2.7, title)
    kinds = ["landmarks" if stage in filtered else _STAGE_KINDS.get(stage, "convolution") for stage in stages["stage"]]
    for k, (stage, shape, kind) in enumerate(zip(stages["stage"], stages["shape"], kinds, strict=True)):
        _box(
            axes,
            1.3 * k,
            0,
            1.1,
            0.8,
            STAGE_TITLES[stage].replace("Reduction-", "Reduction-\n").replace(", ", ",\n"),
            kind,
        )
        axes.text(
            1.3 * k + 0.55, -0.1, f"{shape[0]}\n" + " x ".join(map(str, shape[1:])), ha="center", va="top", fontsize=9
        )
        if k:
            _arrow(axes, (1.3 * k - 0.2, 0.4), (1.3 * k, 0.4))
    names = {
        "convolution": "convolutions",
        "landmarks": "y = ω ∘ x + F(x)",
        "residual": "y = x + F(x)",
        "pool": "reduction of the grid",
        "head": "mean over space, LSTM, linear layer",
    }
    _legend(axes, {kind: name for kind, name in names.items() if kind in kinds})
    axes.text(0, -0.75, "below each stage: channels, then frames x height x width", fontsize=9, color="#444444")
    axes.set(xlim=(-0.05, 1.3 * len(stages)), ylim=(-0.85, 1.0))
    axes.set_axis_off()
    return figure


_STAGE_KINDS = dict.fromkeys(("block_a", "block_b", "block_c"), "residual")
_STAGE_KINDS |= {"reduction_a": "pool", "reduction_b": "pool", "head": "head"}


def block(layers: pd.DataFrame, inputs: tuple[int, ...], title: str, filtered: bool = False) -> Figure:
    """One block of the paper's Figure 2, layer by layer: its branches, what joins them, and the shortcut.

    Args:
        layers: the rows of `summary.layer_table` of one stage with branches.
        inputs: shape (C, T, H, W) of what the block gets.
        title: of the figure.
        filtered: whether the shortcut is multiplied with the landmark filter.
    """
    branches = [rows for name, rows in layers.groupby("branch", sort=False) if str(name).startswith("branch")]
    project = layers[layers["branch"] == "project"]
    longest = max(map(len, branches))
    joined = (sum(rows["shape"].iloc[-1][0] for rows in branches), *branches[0]["shape"].iloc[-1][1:])
    end = 1 + longest
    figure, (axes,) = canvas.new(
        1.75 * (end + (3 if len(project) else 1)), 1.05 * len(branches) + (1.5 if len(project) else 0.9), title
    )
    middle = (len(branches) - 1) / 2
    _box(axes, 0, middle - 0.3, 0.75, 0.6, "x", "pool")
    _below(axes, 0.375, middle - 0.36, inputs)
    for row, rows in enumerate(branches):
        y = len(branches) - 1 - row
        for k, layer in enumerate(rows.itertuples()):
            _layer_box(axes, 1.1 * (k + 1), y, layer)
            start = (1.1 * k + 0.9, y) if k else (0.75, middle)
            _arrow(axes, start, (1.1 * (k + 1), y))
        _arrow(axes, (1.1 * len(rows) + 0.9, y), (1.1 * end, middle))
    _box(axes, 1.1 * end, middle - 0.3, 0.9, 0.6, "join the\nchannels", "pool")
    _below(axes, 1.1 * end + 0.45, middle - 0.36, joined)
    top = len(branches) - 0.3
    if len(project):
        _arrow(axes, (1.1 * end + 0.9, middle), (1.1 * (end + 1), middle))
        _layer_box(axes, 1.1 * (end + 1), middle, next(project.itertuples()))
        _below(axes, 1.1 * (end + 1) + 0.45, middle - 0.36, project["shape"].iloc[0])
        _arrow(axes, (1.1 * (end + 1) + 0.9, middle), (1.1 * (end + 2), middle))
        _box(axes, 1.1 * (end + 2), middle - 0.3, 0.9, 0.6, "add,\nReLU", "pool")
        axes.plot([0.375, 0.375, 1.1 * (end + 2) + 0.45], [middle + 0.3, top, top], color="black", linewidth=1)
        _arrow(axes, (1.1 * (end + 2) + 0.45, top), (1.1 * (end + 2) + 0.45, middle + 0.3))
        words = "shortcut, multiplied with the landmark filter: ω ∘ x" if filtered else "shortcut: x"
        axes.text(1.1, top + 0.06, words, fontsize=9)
    names = {"convolution": "convolution, batch norm, ReLU", "linear": "without ReLU (Linear)"}
    _legend(axes, {kind: name for kind, name in names.items() if kind in set(layers["kind"])})
    axes.set(xlim=(-0.05, 1.1 * (end + (3 if len(project) else 1))), ylim=(-0.75, top + (0.35 if len(project) else 0)))
    axes.set_axis_off()
    return figure


def convolution(clip: np.ndarray, kernel: np.ndarray, at: tuple[int, int], title: str) -> Figure:
    """One value of a 3D convolution: three frames, the kernel's three slices, their products and sums.

    Args:
        clip: (3, H, W).
        kernel: (3, k, k), odd k.
        at: row and column of the value.
        title: of the figure.
    """
    half = kernel.shape[-1] // 2
    (row, column), limit = at, max(float(np.abs(kernel).max()), 1e-9)
    figure, panels = canvas.new(8.2, 7.2, title, 3, 3)
    for t, (frame, weights) in enumerate(zip(clip, kernel, strict=True)):
        window = frame[row - half : row + half + 1, column - half : column + half + 1]
        name = ("t − 1", "t", "t + 1")[t]
        drawn = (frame, weights, window * weights + 0.0)  # no negative zero
        heads = f"frame {name}", f"kernel, slice {t}", f"product, sum {np.sum(window * weights):g}"
        for axes, values, head in zip(panels[3 * t : 3 * t + 3], drawn, heads, strict=True):
            canvas.cells(axes, values, canvas.SIGNED, "{:g}", vmin=-limit, vmax=limit)
            axes.set_title(head, fontsize=10)
            axes.set(xticks=[], yticks=[], aspect="equal")
        corner = (column - half, row - half)
        panels[3 * t].add_patch(
            Rectangle(corner, 2 * half + 1, 2 * half + 1, fill=False, linewidth=2.5, edgecolor="black")
        )
    return figure


def lstm_steps(frames: np.ndarray, gates: pd.DataFrame, probabilities: pd.DataFrame, title: str) -> Figure:
    """The LSTM drawn over its steps (Eq. 1).

    Args:
        frames: (T, H, W, 3) uint8.
        gates: means of the gates over all units, one row per step, one column per gate, 0..1.
        probabilities: one row per step, one column per class.
        title: of the figure.
    """
    steps = len(frames)
    figure = canvas.empty(10, 6.6, title)
    grid = figure.add_gridspec(4, steps, height_ratios=(1, 0.9, 1.5, 1.7))
    for t, frame in enumerate(frames):
        axes = figure.add_subplot(grid[0, t])
        axes.imshow(frame)
        axes.set_axis_off()
        axes.set_title(f"frame {t + 1}", fontsize=8)
    axes = figure.add_subplot(grid[1, :])
    for t in range(steps):
        _box(axes, t + 0.18, 0.1, 0.64, 0.5, "LSTM", "head")
        _arrow(axes, (t + 0.5, 1.0), (t + 0.5, 0.6))
        if t:
            _arrow(axes, (t - 0.18, 0.35), (t + 0.18, 0.35))
            axes.text(t, 0.66, f"C{t}, h{t}", ha="center", fontsize=8)
    axes.set(xlim=(0, steps), ylim=(0, 1))
    axes.set_axis_off()
    lines, outputs = (figure.add_subplot(grid[k, :]) for k in (2, 3))
    for colour, (name, values) in zip(canvas.PALETTE, gates.items(), strict=False):
        lines.plot(range(1, steps + 1), values, marker="o", markersize=4, color=colour, label=str(name))
    highest = probabilities.max().sort_values(ascending=False).index[:4]
    for colour, name in zip(canvas.PALETTE, highest, strict=False):
        outputs.plot(range(1, steps + 1), probabilities[name], marker="o", markersize=4, color=colour, label=str(name))
    for panel, label in ((lines, "mean of a gate"), (outputs, "probability")):
        panel.set(xlim=(0.5, steps + 0.5), ylim=(-0.03, 1.03), ylabel=label, xticks=range(1, steps + 1))
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    outputs.set_xlabel("step t of the LSTM: frame of the clip")
    return figure


def _board(figure: Figure, width: float, height: float) -> Axes:
    """Axes over a whole figure, in inches, on which boxes and arrows are drawn."""
    board = figure.add_axes((0, 0, 1, 1))
    board.set(xlim=(0, width), ylim=(0, height))
    board.set_axis_off()
    return board


def _inset(figure: Figure, x: float, y: float, side: float) -> Axes:
    """Square axes at a place in inches."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((x / width, y / height, side / width, side / height))
    axes.set(xticks=[], yticks=[])
    return axes


def _map(axes: Axes, values: np.ndarray, highest: float) -> None:
    axes.imshow(values, cmap=canvas.SEQUENTIAL, vmin=0, vmax=highest)


def _box(axes: Axes, x: float, y: float, width: float, height: float, words: str, kind: str) -> None:
    style = "round,pad=0,rounding_size=0.06"
    box = FancyBboxPatch((x, y), width, height, style, facecolor=_FILLS[kind], edgecolor="#555555", linewidth=0.8)
    axes.add_patch(box)
    axes.text(x + width / 2, y + height / 2, words, ha="center", va="center", fontsize=9)


def _layer_box(axes: Axes, x: float, y: float, layer: Any) -> None:
    """A layer as a box: kernel, stride where it has one, padding and channels."""
    stride = f" /{layer.stride}" if layer.stride > 1 else ""
    what = "max pool" if layer.kind == "pool" else " x ".join(map(str, layer.kernel))
    _box(axes, x, y - 0.3, 0.9, 0.6, f"{what}{stride} {layer.padding}\n{layer.shape[0]} channels", layer.kind)


def _below(axes: Axes, x: float, y: float, shape: Sequence[int]) -> None:
    axes.text(x, y, f"{shape[0]}\n" + " x ".join(map(str, shape[1:])), ha="center", va="top", fontsize=8)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=1, color="black"))


def _legend(axes: Axes, names: Mapping[str, str]) -> None:
    handles = [Patch(facecolor=_FILLS[kind], edgecolor="#555555", label=name) for kind, name in names.items()]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.02),
        ncols=5,
        columnspacing=1,
        frameon=False,
        fontsize=9,
    )
