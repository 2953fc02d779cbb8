"""The explorer of notebook 03: what the stages of the network compute, and what the landmark product removes."""

from collections.abc import Mapping

import cv2
import ipywidgets as widgets
import numpy as np

from fer3d.workbook.explorers.explorer import Explorer, choice, numbers_of, slider
from fer3d.workbook.explorers.panels import SIDE, coloured, enlarged, side_by_side, with_points


def explore_network(
    frames: np.ndarray,
    points: np.ndarray,
    stages: Mapping[str, np.ndarray],
    shortcuts: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    data: str,
) -> Explorer:
    """Any channel of any stage at any frame of a clip, and what the landmark product removes there.

    The colours of a stage mean the same values in all its channels and frames.

    Args:
        frames: (T, H, W, 3) uint8.
        points: (T, 66, 2) pixels.
        stages: what each stage gives (C, T, G, G).
        shortcuts: what the shortcut of each stage with a landmark filter gets (C, T, G, G).
        weights: the landmark filters (T, G, G) of these stages.
        data: the clip's database, for the title.
    """
    size = frames.shape[1]
    highest = {stage: float(np.quantile(volume, 0.999)) for stage, volume in stages.items()}
    channels = {stage: np.argsort(-volume.std((1, 2, 3))) for stage, volume in stages.items()}

    def draw(stage: str, channel: int, frame: int, contours: bool) -> np.ndarray:
        t, shown = frame - 1, int(channels[stage][channel - 1])
        face = with_points(enlarged(frames[t]), points[t], SIDE / size, 2)
        panels = [face, coloured(stages[stage][shown, t], highest[stage])]
        titles = [
            f"{data}, frame {frame} of {len(frames)}",
            f"{stage}, channel {shown} of {len(stages[stage])}: 0 to {highest[stage]:.1f}",
        ]
        if stage in weights:
            w, x = weights[stage][t], shortcuts[stage][shown, t]
            panels.append(coloured(x - w * x, highest[stage]))
            titles.append(f"removed: {1 - np.sum(w * x) / max(np.sum(x), 1e-9):.0%} of this channel's shortcut")
        else:
            panels.append(np.full_like(face, 235))
            titles.append("no landmark filter here: nothing is removed")
        if contours and stage in weights:
            panels[1:] = [_with_contours(panel, weights[stage][t]) for panel in panels[1:]]
        return side_by_side(panels, titles)

    chosen = choice("stage", stages, next(iter(weights), None))
    return Explorer(
        draw,
        stage=chosen,
        channel=numbers_of("channel", chosen, stages),
        frame=slider("frame", len(frames), 1, len(frames)),
        contours=widgets.Checkbox(True, description="filter over it"),
    )


def _with_contours(panel: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A copy of a panel with the edge of the cells that the filter (G, G) reaches."""
    inside = enlarged((weights > 0).astype(np.uint8), cv2.INTER_NEAREST)
    edges, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(panel.copy(), edges, -1, (255, 255, 255), 2)
