"""What all explorers are: a picture under its controls.

A few value widgets and an ``ipywidgets.HTML`` whose picture a callback replaces. There is no ``Output`` and no
``interact``: both can block a notebook that is executed without a browser. A reader without a kernel sees the first
picture.
"""

import base64
import contextlib
import html
import io
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any

import cv2
import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from fer3d.workbook.explorers.controls import Choice, Slider


class Explorer(widgets.VBox):
    """A picture under its controls.

    Args:
        draw: called with each control's value under the control's name. Returns a figure, or the picture itself,
            (H, W, 3) uint8 RGB, where a figure would be too slow.
        beside: whether the controls stand beside the picture, in a column that scrolls: for many of them.
        controls: the widgets.
    """

    def __init__(
        self, draw: Callable[..., Figure | np.ndarray], *, beside: bool = False, **controls: widgets.ValueWidget
    ) -> None:
        self.draw, self.controls, self.png, self._held = draw, controls, b"", False
        self.picture = widgets.HTML(layout=_SHRINKS)  # an ipywidgets.Image has no alternative text
        if beside:
            self.panel = widgets.VBox(list(controls.values()), layout=_COLUMN)
            super().__init__([widgets.HBox([self.panel, self.picture])])
        else:
            self.panel = widgets.HBox(list(controls.values()), layout=_WRAP)
            super().__init__([self.panel, self.picture])
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    def set(self, **values: Any) -> None:
        """Give several controls their values and draw once."""
        with self.held():
            for name, value in values.items():
                self.controls[name].value = value
        self._redraw()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Controls may change inside without a new picture."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _redraw(self, _change: Any = None) -> None:
        if self._held:
            return
        values = {name: control.value for name, control in self.controls.items()}
        self.png = _png(self.draw(**values))
        encoded, alt = base64.b64encode(self.png).decode(), html.escape(self.alt, quote=True)
        self.picture.value = f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{encoded}">'

    @property
    def alt(self) -> str:
        """The picture's alternative text: the values of its controls; of ten or more, those that are not 0."""
        said = {name: _said(control) for name, control in self.controls.items()}
        return ", ".join(f"{name} {value}" for name, value in said.items() if value != "0" or len(said) < 10)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for readers without a kernel its picture."""
        bundle: dict[str, Any] = super()._repr_mimebundle_(**kwargs)
        words = f"Explorer ({', '.join(self.controls)}): run this cell to use it"
        picture = {"image/png": base64.b64encode(self.png).decode(), "text/plain": words}
        return bundle | picture, {"image/png": {"alt": f"{words}. {self.alt}"}}


def _said(control: widgets.ValueWidget) -> str:
    """A control's value, the words for it in a list of choices, or the name of an uploaded file."""
    if isinstance(control, widgets.FileUpload):
        return ", ".join(file["name"] for file in control.value) or "nothing yet"
    return str(control.label if isinstance(control, widgets.Dropdown) else control.value)


def _png(picture: Figure | np.ndarray) -> bytes:
    if isinstance(picture, Figure):
        buffer = io.BytesIO()
        picture.savefig(buffer, format="png", metadata={"Software": "fer3d"})
        return buffer.getvalue()
    _, encoded = cv2.imencode(".png", picture[..., ::-1])
    return encoded.tobytes()


_WRAP = widgets.Layout(flex_flow="row wrap")
_COLUMN = widgets.Layout(width="320px", flex="0 0 auto", height="440px", overflow="auto", display="block")
_SHRINKS = widgets.Layout(flex="1 1 auto", min_width="0")


def slider(name: str, value: float, low: float, high: float, step: float = 1) -> widgets.ValueWidget:
    """A slider. It acts on release of the mouse, and at each arrow key."""
    return Slider(value=value, min=low, max=high, step=step, description=name)


def numbers_of(name: str, chosen: widgets.ValueWidget, items: Mapping[str, Sized]) -> widgets.ValueWidget:
    """A slider from 1 to the number of the items that stand under a choice's value."""
    numbers = slider(name, 1, 1, len(items[chosen.value]))
    chosen.observe(lambda change: setattr(numbers, "max", len(items[change["new"]])), names="value")
    return numbers


def choice(name: str, options: Any, selected: Any = None) -> widgets.ValueWidget:
    """A drop-down list of options; the first one is selected unless another is named."""
    first = {} if selected is None else {"value": selected}
    return Choice(options=list(options), description=name, **first)
