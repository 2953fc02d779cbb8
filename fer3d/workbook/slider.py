"""A slider that has an accessible name: the browser's own. Those of ipywidgets tell a screen reader no name."""

from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

_ESM = """
export default {
  render({ model, el }) {
    const [row, name, input, shown] = ["label", "span", "input", "output"].map((tag) => document.createElement(tag));
    input.type = "range";
    const show = () => {
      name.textContent = model.get("description");
      input.setAttribute("aria-label", model.get("description"));
      for (const key of ["min", "max", "step", "value"]) input[key] = model.get(key);
      shown.textContent = input.value;
    };
    input.addEventListener("input", () => { shown.textContent = input.value; });
    input.addEventListener("change", () => { model.set("value", input.valueAsNumber); model.save_changes(); });
    el.dataset.lmSuppressShortcuts = "true";  // JupyterLab would take the arrow keys
    el.classList.add("fer3d-slider");
    row.append(name, input, shown);
    el.append(row);
    model.on("change", show);
    show();
  },
};
"""
_CSS = """
.fer3d-slider label { display: flex; gap: 6px; align-items: center; width: 300px; color: var(--jp-ui-font-color1); }
.fer3d-slider span { min-width: 76px; text-align: right; }
.fer3d-slider input { flex: 1; min-width: 90px; }
.fer3d-slider output { width: 34px; }
"""


class Slider(anywidget.AnyWidget, widgets.ValueWidget):
    """A number from ``min`` to ``max`` in steps. It acts on release of the mouse, and at each arrow key."""

    _esm, _css = _ESM, _CSS
    _number: Any = (traitlets.Int(), traitlets.Float())
    value = traitlets.Union(_number).tag(sync=True)
    min = traitlets.Union(_number).tag(sync=True)
    max = traitlets.Union(_number).tag(sync=True)
    step = traitlets.Union(_number).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)

    @traitlets.validate("value")
    def _within(self, proposal: Any) -> Any:
        return min(max(proposal["value"], self.min), self.max)

    @traitlets.observe("min", "max")
    def _bounds_changed(self, _change: Any) -> None:
        self.value = min(max(self.value, self.min), self.max)
