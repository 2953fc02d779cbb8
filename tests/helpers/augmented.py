"""Clips and landmarks moved together, as a training step moves them."""

from fer3d.training.augment import move_landmarks, move_pictures, moves
from fer3d.training.batches import to_device


def augment(clips, landmarks, settings, params):
    """Clips (B, C, T, H, W) and landmarks (B, T, 66, 2) moved by the rows ``params`` of `draw`, on their device."""
    size = clips.shape[-1]
    places = moves(params, size, settings)
    return move_pictures(clips, to_device(places.theta, clips.device)), move_landmarks(
        landmarks, places, size, settings
    )
