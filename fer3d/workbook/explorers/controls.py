"""A slider and a list of choices: the browser's own, with accessible names, and with their keys in JupyterLab.

JupyterLab takes the arrow keys and letters that are pressed in the controls of ipywidgets for its own commands, and a
slider of ipywidgets has no name for screen readers.
"""

from typing import Any

import anywidget
import ipywidgets as widgets
import traitlets

_NAMED = """
function named(model, el, tag) {
  const [row, name, input] = ["label", "span", tag].map((part) => document.createElement(part));
  input.dataset.lmSuppressShortcuts = "true";  // on the control itself: JupyterLab looks there first
  el.classList.add("fer3d-control");
  row.append(name, input);
  el.append(row);
  const show = () => {
    name.textContent = model.get("description");
    name.classList.toggle("long", name.textContent.length > 11);
    input.setAttribute("aria-label", model.get("description"));
  };
  model.on("change", show);
  show();
  return [row, input];
}
"""
_SLIDER = """
export default {
  render({ model, el }) {
    const [row, input] = named(model, el, "input");
    const shown = document.createElement("output");
    row.append(shown);
    input.type = "range";
    const show = () => {
      for (const key of ["min", "max", "step", "value"]) input[key] = model.get(key);
      shown.textContent = input.value;
    };
    input.addEventListener("input", () => { shown.textContent = input.value; });
    input.addEventListener("change", () => { model.set("value", input.valueAsNumber); model.save_changes(); });
    model.on("change", show);
    show();
  },
};
"""
_CHOICE = """
export default {
  render({ model, el }) {
    const [, input] = named(model, el, "select");
    const show = () => {
      const words = model.get("_options_labels");
      if (words.join("\\n") !== [...input.options].map((option) => option.text).join("\\n"))
        input.replaceChildren(...words.map((text) => new Option(text)));
      input.selectedIndex = model.get("index");
    };
    input.addEventListener("change", () => { model.set("index", input.selectedIndex); model.save_changes(); });
    model.on("change", show);
    show();
  },
};
"""
_CSS = """
.fer3d-control label { display: flex; gap: 6px; align-items: center; width: 300px; color: var(--jp-ui-font-color1); }
.fer3d-control span { flex: 0 0 auto; width: 76px; text-align: right; }
.fer3d-control span.long { width: 160px; }
.fer3d-control input, .fer3d-control select { flex: 1; min-width: 90px; }
.fer3d-control select { height: 26px; }
.fer3d-control output { width: 34px; }
"""


class Slider(anywidget.AnyWidget, widgets.ValueWidget):
    """A number from ``min`` to ``max`` in steps. It acts on release of the mouse, and at each arrow key."""

    _esm, _css = _NAMED + _SLIDER, _CSS
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


class Choice(anywidget.AnyWidget, widgets.Dropdown):
    """One of several options, as `ipywidgets.Dropdown` has them."""

    _esm, _css = _NAMED + _CHOICE, _CSS
