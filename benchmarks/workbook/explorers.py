"""How quickly the explorers follow a slider: milliseconds of CPU from a control's change to the picture's new bytes.

    OMP_NUM_THREADS=1 python -m benchmarks.workbook.explorers [--changes 120]

Controls are set to a random value, and back, through the widgets' own callback. Rendering, detection and PNG
encoding are included, the browser is not. The action-unit explorer of notebook 02 renders a synthetic face, detects its
landmarks and computes the filter; the clip browser of notebook 01 reads the tiny profile's stores, made where they
are missing. The time is that of the processor, all threads together, so other programs do not count. The goal is
200 ms.
"""

import argparse
import time

import ipywidgets as widgets
import numpy as np
import pandas as pd

from benchmarks.common import report
from fer3d import labels
from fer3d.data.store import Store
from fer3d.evaluation import metrics
from fer3d.model.filters import landmark_filter
from fer3d.workbook import pipeline
from fer3d.workbook.explorers.action_units import explore_action_units
from fer3d.workbook.explorers.clips import explore_clips
from fer3d.workbook.explorers.confusions import explore_confusions
from fer3d.workbook.explorers.explorer import Explorer
from fer3d.workbook.explorers.landmark_filter import explore_filter
from fer3d.workbook.explorers.network import explore_network


def redraws(explorer: Explorer, changes: int) -> np.ndarray:
    """Milliseconds of CPU of each redraw (changes,): a control set to another value, and back."""
    rng, times = np.random.default_rng(0), []
    controls = list(explorer.controls.values())
    while len(times) < changes:
        control = controls[rng.integers(len(controls))]
        before, value = control.value, random_value(rng, control)
        for now in (value, before) if value != before else ():
            began = time.process_time()
            control.value = now
            times.append(1000 * (time.process_time() - began))
    return np.array(times)


def network_viewer(frames: np.ndarray, points: np.ndarray) -> Explorer:
    """The explorer of notebook 03 with arrays of its sizes."""
    rng, sizes = np.random.default_rng(0), {"3DIR-A": (64, 16), "3DIR-B": (224, 7), "3DIR-C": (448, 3)}
    volumes = {stage: rng.random((channels, 10, grid, grid)) for stage, (channels, grid) in sizes.items()}
    weights = {stage: rng.random((10, grid, grid)) for stage, (_, grid) in sizes.items() if stage != "3DIR-C"}
    return explore_network(frames, points, volumes, volumes, weights, "CK+ (synthetic)")


def random_value(rng: np.random.Generator, control: widgets.ValueWidget) -> object:
    if isinstance(control, widgets.Dropdown):
        option = control.options[rng.integers(len(control.options))]
        return option[1] if isinstance(option, tuple) else option
    if isinstance(control, widgets.Checkbox):
        return bool(rng.integers(2))
    steps = round((control.max - control.min) / control.step)
    return control.min + control.step * int(rng.integers(steps + 1))


def confusions(store: Store, title: str) -> Explorer:
    """Two models: made-up predictions, the second the first's in another order."""
    classes = labels.CLASSES["ckplus"]
    shares = np.random.default_rng(0).dirichlet(np.ones(len(classes)), len(store))
    tables = [metrics.predictions_table(store.manifest, classes, each) for each in (shares, shares[::-1])]
    variants = dict(zip(("one", "other"), tables, strict=True))
    return explore_confusions(variants, store, title, lambda points: landmark_filter(points, 64, 16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=120, help="changes of a control (default: 120)")
    chosen = parser.parse_args()
    stores = {name: pipeline.store(name, "tiny") for name in pipeline.DATABASES}
    titles = {name: pipeline.title(name) for name in stores}
    roots = {name: pipeline.release_folder(name, "tiny") for name in stores}
    explorers = {"action units": explore_action_units(), "clips": explore_clips(stores, titles, roots)}
    frames, points = stores["ckplus"].frames[0], stores["ckplus"].landmarks[0]
    explorers["landmark filter"] = explore_filter(frames, points, titles["ckplus"])
    explorers["network"] = network_viewer(frames, points)
    explorers["confusions"] = confusions(stores["ckplus"], titles["ckplus"])
    rows = []
    for name, explorer in explorers.items():
        took = redraws(explorer, chosen.changes)
        shares = {"median": 0.5, "90 %": 0.9, "99 %": 0.99}
        rows.append({"explorer": name, **{f"{key} ms": float(np.quantile(took, q)) for key, q in shares.items()}})
        rows[-1] |= {"% below 200 ms": 100 * float((took < 200).mean())}
    report("explorers", pd.DataFrame(rows), {"changes": chosen.changes})


if __name__ == "__main__":
    main()
