# The public names, and where each comes from. `fer3d/__init__.py` imports them lazily.
from .config import NetworkSettings as NetworkSettings
from .data.store import Store as Store
from .data.store import open_store as open_store
from .errors import InputError as InputError
from .evaluation.metrics import compare as compare
from .evaluation.metrics import evaluate as evaluate
from .evaluation.metrics import read_predictions as read_predictions
from .model.filters import landmark_filter as landmark_filter
from .model.network import Network as Network
from .own_video import predict as predict
from .training.caveats import evaluate_store as evaluate_store
from .training.inference import predict_store as predict_store
from .training.run import TrainedModel as TrainedModel
from .training.run import load_model as load_model

__version__: str
