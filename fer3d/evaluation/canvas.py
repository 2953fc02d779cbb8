"""What all figures share: a figure with an alternative text, the palette, faces and cells with their numbers."""

import base64
import io
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.rcParams["text.parse_math"] = False  # a "$" in a file's name does not begin a formula

BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"
GREY, YELLOW, SKY = "#949494", "#ece133", "#56b4e9"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
SEQUENTIAL, SIGNED = "cividis", "PuOr_r"


class Picture(Figure):
    """A figure that a notebook shows with an alternative text for readers who do not see it."""

    alt = ""
    """Empty: that of `described`."""

    def described(self) -> str:
        """The title, and the titles and labels of the panels, or what is written in a panel without axes."""
        parts = [self.get_suptitle()]
        for axes in self.axes:
            labels = [
                f"{name}: {label}" for name, label in (("x", axes.get_xlabel()), ("y", axes.get_ylabel())) if label
            ]
            written = [] if axes.axison else [text.get_text() for text in axes.texts]
            parts.append(", ".join(filter(None, [axes.get_title(), *labels, *written])))
        words = " ".join(f"{part}." for part in dict.fromkeys(filter(None, parts)))
        return " ".join(words.split())

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """The picture, and its alternative text where nbconvert and JupyterLab look for it."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": "fer3d"})
        width, height = (round(length * self.dpi) for length in self.get_size_inches())
        words = f"<Figure size {width}x{height} with {len(self.axes)} Axes>"
        data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": words}
        return data, {"image/png": {"alt": self.alt or self.described()}}


def empty(width: float, height: float, title: str) -> Picture:
    """A figure outside pyplot (nothing to close) with its title. Sizes in inches.

    A line of the title that is wider than the figure is broken, and the figure is as much higher.
    """
    unbroken = title.replace(" = ", "\0=\0").replace(" (", "\0(")  # "n = 242" and "CK+ (synthetic)" stay on one line
    lines = [part for line in unbroken.split("\n") for part in textwrap.wrap(line, int(_LETTERS * width)) or [line]]
    more = len(lines) - len(title.split("\n"))
    figure = Picture(figsize=(width, height + _LINE * more), dpi=100, layout="constrained")
    figure.suptitle("\n".join(lines).replace("\0", " "), fontsize=11, weight="bold")
    return figure


_LETTERS, _LINE = 11.0, 0.19
"""Letters of a title in an inch, and the height of its lines in inches."""


def new(width: float, height: float, title: str, rows: int = 1, columns: int = 1) -> tuple[Picture, list[Axes]]:
    """A figure with its title, and its axes row by row. Sizes in inches."""
    figure = empty(width, height, title)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def face(axes: Axes, image: np.ndarray, landmarks: np.ndarray | None, size: float = 6) -> None:
    """A picture (H, W, 3) with its landmarks (L, 2) as dots."""
    axes.imshow(image)
    if landmarks is not None:
        axes.scatter(landmarks[:, 0], landmarks[:, 1], s=size, color=YELLOW, edgecolors="black", linewidths=0.25)


def cells(
    axes: Axes,
    values: np.ndarray,
    cmap: str,
    written: str | np.ndarray,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    **scale: Any,
) -> None:
    """Coloured cells in which a text stands in black or white.

    Args:
        axes: where they are drawn.
        values: (H, W) numbers; the cell of a NaN stays empty.
        cmap: the colours.
        written: how the numbers are written, such as "{:.1f}", or texts (H, W).
        rows: names of the H rows; their numbers from 0 where they have none.
        columns: names of the W columns, likewise.
        scale: ``vmin`` and ``vmax``, the values of the first and the last colour; else those that occur.
    """
    height, width = values.shape
    texts: np.ndarray = written if isinstance(written, np.ndarray) else np.vectorize(written.format)(values)
    drawn = axes.pcolormesh(np.ma.masked_invalid(values), cmap=cmap, linewidths=0.5, edgecolors="#DDDDDD", **scale)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_xticks(np.arange(width) + 0.5, columns or list(map(str, range(width))))
    axes.set_yticks(np.arange(height) + 0.5, rows or list(map(str, range(height))), va="center")
    axes.tick_params(length=3)
    axes.spines[:].set_visible(False)
    for (y, x), colour in zip(np.ndindex(height, width), drawn.to_rgba(values).reshape(-1, 4), strict=True):
        if not np.isnan(values[y, x]):
            readable = "black" if _luminance(colour[:3]) > 0.179 else "white"
            axes.text(x + 0.5, y + 0.5, str(texts[y, x]), color=readable, ha="center", va="center", fontsize=9)


def _luminance(colour: np.ndarray) -> float:
    """Relative luminance of an RGB colour; above 0.179 black has more contrast than white (WCAG 2.2)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
