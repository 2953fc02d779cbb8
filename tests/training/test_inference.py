"""A loaded network predicts as the training's test did, and refuses what does not fit."""

import numpy as np
import pandas as pd
import pytest
from dots import moving_dots

from fer3d import labels
from fer3d.data import splits
from fer3d.errors import InputError
from fer3d.evaluation import metrics
from fer3d.training.inference import predict
from fer3d.training.run import load_model


def test_a_loaded_model_predicts_the_same(store, straight):
    model = load_model(straight)
    _, tested = splits.fold_split(store.manifest, 0, 3)
    assert model.network.classes == labels.CLASSES["mmi"] and not model.network.training
    again = predict(model, store, tested)
    pd.testing.assert_frame_equal(again, metrics.read_predictions(straight), check_dtype=False, rtol=1e-6)


def test_a_model_refuses_what_does_not_fit(straight):
    model = load_model(straight)
    with pytest.raises(InputError, match="48 pixels, the network was trained on 32"):
        predict(model, moving_dots(size=48), np.arange(3))
    with pytest.raises(InputError, match="contempt"):
        predict(model, moving_dots("ckplus"), np.arange(36))
