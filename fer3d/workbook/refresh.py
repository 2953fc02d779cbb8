"""Execute the committed notebooks and solutions with their default parameters: ``python -m fer3d.workbook.refresh``.

A notebook keeps its source and its cells' outputs, and nothing that differs from one execution to
the next, such as times and paths. So a second run changes no byte.
"""

import os
import time
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from fer3d import files, paths
from fer3d.workbook.notebook import KERNEL, METADATA, ThisInterpreter

WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_METADATA = ("slideshow", "tags")


def strip_widgets(notebook: NotebookNode) -> NotebookNode:
    """Remove the state of the widgets, in place: of an explorer only its first picture stays."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def strip_volatile(notebook: NotebookNode) -> NotebookNode:
    """Remove all that differs from one execution to the next, in place."""
    strip_widgets(notebook).metadata = NotebookNode(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: value for key, value in cell.metadata.items() if key in CELL_METADATA})
    return notebook


def execute(path: Path) -> None:
    """Execute a notebook in its folder and write the result over it, whole or not at all."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=3600,  # the first one makes the data
        kernel_name=KERNEL["name"],
        kernel_manager_class=ThisInterpreter,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=CRITICAL"],  # of the kernel's own messages
    )
    client.execute()
    files.write_text(path, nbformat.writes(strip_volatile(notebook)) + "\n")


def main() -> None:
    """Execute all notebooks in order and print how long each took."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as `make test` executes them
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for path in (*sorted(paths.NOTEBOOKS.glob("0*.ipynb")), *sorted(paths.NOTEBOOKS.glob("solutions/0*.ipynb"))):
        started = time.monotonic()
        execute(path)
        print(f"{path.stem}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
