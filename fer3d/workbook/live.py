"""Progress bars in JupyterLab.

tqdm shows no bar where its stream is not a terminal but, for example, a log. A notebook's streams are not terminals
either, even where somebody watches.
"""

import os
import sys


def show_progress() -> None:
    """Show the bars of this kernel if it belongs to a notebook that is open in JupyterLab.

    Jupyter's server gives such a kernel the notebook's name. A kernel that papermill, nbval or nbconvert starts gets
    none and shows no bars, since these would be stored in the notebook.
    """
    if "JPY_SESSION_NAME" in os.environ and "ipykernel.kernelapp" in sys.modules:
        sys.stderr.isatty = lambda: True  # type: ignore[method-assign]
