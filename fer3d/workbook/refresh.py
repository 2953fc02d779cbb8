"""The committed notebooks, executed at their defaults: ``python -m fer3d.workbook.refresh``.

What a notebook stores is its source and what its cells show; nothing of when, where and
how long. So a second run changes no byte.
"""

import os
import time
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from fer3d import files, paths

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def still(notebook: NotebookNode) -> NotebookNode:
    """The notebook without the state of its widgets: an explorer is left as its first picture. In place."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def normalised(notebook: NotebookNode) -> NotebookNode:
    """The notebook without anything that differs from one execution to the next. In place."""
    still(notebook).metadata = NotebookNode(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: value for key, value in cell.metadata.items() if key == "tags"})
    return notebook


def execute(path: Path) -> None:
    """Execute a notebook in its folder and store it, whole, in its own place."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        coalesce_streams=True,
        resources=resources,
        extra_arguments=["--log-level=CRITICAL"],
    )  # a kernel says much of itself
    client.execute()
    files.write_text(path, nbformat.writes(normalised(notebook)) + "\n")


def main() -> None:
    """Execute all notebooks in order and say how long each took."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as when they are tested
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for path in sorted(paths.NOTEBOOKS.glob("0*.ipynb")):
        started = time.monotonic()
        execute(path)
        print(f"{path.stem}: {time.monotonic() - started:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
