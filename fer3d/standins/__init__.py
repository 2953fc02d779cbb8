"""Stand-in databases: invented people, rendered and written in each owner's release layout.

No licensed face is needed to try the workbook: a stand-in goes through the same
readers, detectors and landmarks as a licensed copy. It mimics its original's protocol,
never its subjects.
"""

from fer3d.standins.releases.release import code, left_out, meant, truth_folder, write

__all__ = ["code", "left_out", "meant", "truth_folder", "write"]
