"""From a release on disk to a store of clips: readers, faces, clips, folds."""

from fer3d.errors import check_opencv

check_opencv()
