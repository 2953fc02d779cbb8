"""Progress bars in JupyterLab.

tqdm is silent where its stream is no terminal, since a log is no place for a bar. The streams of a notebook are none,
whether somebody looks at it or not.
"""

import os
import sys


def show_progress() -> None:
    """Show the bars of this kernel if it belongs to a notebook that is open in JupyterLab.

    Jupyter's server tells such a kernel the notebook's name. One that papermill, nbval or nbconvert starts learns
    none, and stays silent: what it shows would be stored in the notebook.
    """
    if "JPY_SESSION_NAME" in os.environ and "ipykernel.kernelapp" in sys.modules:
        sys.stderr.isatty = lambda: True  # type: ignore[method-assign]
