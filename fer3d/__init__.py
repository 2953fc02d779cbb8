"""fer3d: facial expression recognition in video with an enhanced 3D Inception-ResNet.

A rebuild of Hasani & Mahoor 2017 (arXiv 1705.07871). The names that a researcher needs are here; ``docs/api.md`` shows
each in use. They are imported when they are first used, so that ``import fer3d`` is quick. The folders follow the path
of the data: data, model, standins, evaluation, training, workbook.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
