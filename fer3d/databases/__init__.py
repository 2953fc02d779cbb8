"""Readers: a release on disk, exactly as its owner ships it, to a stream of sequences.

Section 4.1 of the paper. A reader yields a `Sequence` for each recording that can be
used and a `Skipped` for each that cannot, with the reason, and never stops at one bad
file. It holds nothing that grows with the database.
"""

from fer3d.databases.sequence import Sequence, Skipped, View

__all__ = ["Sequence", "Skipped", "View"]
