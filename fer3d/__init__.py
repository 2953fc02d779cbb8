"""fer3d: facial expression recognition in video with an enhanced 3D Inception-ResNet.

A rebuild of Hasani & Mahoor 2017 (arXiv 1705.07871). The library's rooms follow the
path of the data: databases, faces, clips, splits, filters, network, training,
evaluation, plots. Each room imports only from the rooms before it.
"""

__version__ = "0.1.0"
