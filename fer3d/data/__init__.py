"""From a release on disk to a store of clips: readers, faces, clips, folds."""

from fer3d.errors import InputError, explain_import

try:
    import cv2  # noqa: F401, for almost all that lies here
except ImportError as error:
    if not (remedy := explain_import(error)):
        raise
    raise InputError(remedy) from None
