"""The explorer of notebook 07: predictions for a recording that is uploaded.

Apart from the others, so that their notebooks do not depend on the network.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from fer3d import own_video, video_report
from fer3d.errors import InputError
from fer3d.evaluation import canvas
from fer3d.own_video import Options, Weights
from fer3d.workbook.explorers.explorer import Explorer


def explore_recording(first: Figure, trained: Weights) -> Explorer:
    """The timeline of a recording that is uploaded.

    Args:
        first: shown until something is uploaded.
        trained: the network.
    """

    def draw(upload: Sequence[Mapping[str, Any]]) -> Figure:
        if not upload:
            return first
        with tempfile.TemporaryDirectory() as folder:  # of the browser's file name only the suffix is used
            shown = Path(folder) / f"uploaded{Path(upload[0]['name']).suffix[:6]}"
            shown.write_bytes(upload[0]["content"])
            try:
                recording = own_video.open_recording(str(shown), trained, Options())
                rows = [row for _, ended in own_video.watch(recording, trained, Options()) for row in ended]
            except InputError as error:  # in the place of the earlier picture
                return canvas.empty(9, 1.5, str(error))
        return video_report.timeline(recording, rows, trained)[0]

    return Explorer(draw, upload=widgets.FileUpload(accept="video/*,image/*", multiple=False))
