"""Stand-in databases: synthetic people, rendered and written in each owner's release layout.

They let everyone try the workbook without licensed faces: a stand-in passes through the same
readers, detectors and landmarks as a licensed copy. It imitates the original's protocol, not
its subjects.
"""

import fer3d.data  # noqa: F401 - first: it says what to do where OpenCV can't be loaded
from fer3d.standins.releases.writer import ground_truth, truth_folder, write

__all__ = ["ground_truth", "truth_folder", "write"]
