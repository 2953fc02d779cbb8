"""Every setting, once: its name, its unit, its bounds, its default and the reason for it.

Settings are frozen dataclasses that pydantic checks; a profile is one of each. Papermill parameters, command line
options and the JSON stored beside a result use the same names. A setting that the paper states says "paper"; one that
it leaves open says why it is what it is. Numbers are bounded, so that a ``model.json`` from elsewhere can't ask for
more memory than there is.
"""

import contextlib
import dataclasses
import difflib
import json
import re
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from fer3d import labels
from fer3d.errors import InputError

Variant = Literal["2d", "3d", "3d+landmarks", "r3d_18"]
VARIANTS: tuple[str, ...] = typing.get_args(Variant)
PAPER_VARIANTS = VARIANTS[:3]
"""The paper's network; ``r3d_18`` is another one to compare it with."""
RECIPES = ("default", "paper", "joint")
ClipNorm = Literal["parts", "whole", "none"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]
Distance = Literal["manhattan", "euclidean", "chebyshev"]
Overlap = Literal["max", "sum"]

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class Settings:
    """Base of all settings. What is unusable is an `InputError`, however the settings are made.

    Values are converted in two cases only: whole numbers to floats and, as JSON has no tuples, lists to tuples.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, values: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """The first of pydantic's complaints in one line: the setting, its value, what is allowed."""
        try:
            return validate(values)
        except ValidationError as error:
            first = error.errors()[0]
        fields, loc = dataclasses.fields(cls), first["loc"]  # for a value by position, its index
        loc = (fields[loc[0]].name, *loc[1:]) if loc and isinstance(loc[0], int) and loc[0] < len(fields) else loc
        name = ".".join(map(str, loc)) or cls.__name__
        if first["type"] == "unexpected_keyword_argument":
            raise _unknown(name, [field.name for field in fields])
        if first["type"] == "missing":
            raise InputError(f"{cls.__name__} without {name}")
        # "Input should be greater than 0"
        raise InputError(f"{name} = {first['input']!r} {re.sub('^[A-Z][a-z]+ should', 'should', first['msg'])}")

    @classmethod
    def from_params(cls, params: Mapping[str, Any], base: Self | None = None) -> Self:
        """Settings from names and values; of settings within settings, the value is such a mapping, too.

        ``base`` supplies what ``params`` does not name. An unknown name or an unusable value is an `InputError`.
        """
        if not isinstance(params, Mapping):
            raise InputError(f"{cls.__name__} = {params!r} should be names and values")
        given = dict(params)
        for name, value in given.items():
            inner = getattr(base or cls, name, None)
            if isinstance(inner, Settings) and isinstance(value, Mapping):
                given[name] = inner.from_params(value, inner)
        return dataclasses.replace(base, **given) if base else cls(**given)

    def names(self) -> list[str]:
        """The names of all settings, with a dot for those within settings: ``training.lr``."""
        found = []
        for field in dataclasses.fields(self):
            inner = getattr(self, field.name)
            found += [f"{field.name}.{name}" for name in inner.names()] if isinstance(inner, Settings) else [field.name]
        return found

    def changed(self, assignments: Iterable[str], names: Collection[str]) -> Self:
        """These settings with some changed, each by a text ``NAME=VALUE``: the value is JSON, or else plain text.

        Only ``names``, some of `names`, can be changed. Anything else is an `InputError`.

        >>> profile("tiny").changed(["training.schedule=constant", "folds=3"], profile("tiny").names()).folds
        3
        """
        params: dict[str, Any] = {}
        for text in assignments:
            name, equals, value = text.partition("=")
            if not equals:
                raise InputError(f"{text!r} is not of the form NAME=VALUE", "training.lr=0.005")
            if name not in names:
                raise _unknown(name, names)
            group, _, last = name.rpartition(".")
            target = params.setdefault(group, {}) if group else params
            target[last] = value
            with contextlib.suppress(ValueError, RecursionError):
                target[last] = json.loads(value)
        return self.from_params(params, self)

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready names and values."""
        return dataclasses.asdict(self)


def _unknown(name: str, names: Collection[str]) -> InputError:
    """The error for a name that is not among those, with the nearest of them."""
    alike = [known for known in names if known.rpartition(".")[2] == name.rpartition(".")[2]]
    near = alike or difflib.get_close_matches(name, names, cutoff=0.5) or names
    return InputError(f"there is no setting {name!r} here", " or ".join(near))


@dataclass(frozen=True, config=_STRICT)
class ClipSettings(Settings):
    """What a prepared store depends on: cropping and cutting into clips."""

    size: Annotated[int, Field(ge=1, le=1024)] = 299
    """Side of the square face crop in pixels (paper)."""
    num_frames: Annotated[int, Field(ge=1, le=256)] = 10
    """Frames in a clip (paper)."""
    frame_step: NonNegativeFloat = 0.0
    """Seconds from one frame of a clip to the next; 0: successive frames, at whatever rate they were recorded (paper).
    A recording of longer intervals is taken as it is."""
    margin: Annotated[float, Field(ge=0, le=4)] = 0.15
    """Added on each side of the square round the 66 points, as a share of its side; the paper does not say."""
    align: bool = False
    """Rotate the crop so that the eyes are level; the paper does not say. Roll may belong to the expression."""
    detector: Literal["haar", "hog"] = "haar"
    """OpenCV's Haar cascade (paper: "OpenCV face recognition") or dlib's HOG detector."""
    track: bool = True
    """Follow the face by the previous frame's points and verify; False searches every frame anew, slowly."""
    crop_per: Literal["clip", "frame"] = "clip"
    """One square for all frames of a clip, so that what moves in it is the face; the paper does not say."""
    min_face: PositiveInt = 80
    """Smallest face accepted: side of its box in pixels of the frame (about twice the eyes' distance). Faces from 48
    are found, too, but with inaccurate landmarks of the mouth; the manifest counts such frames as ``small``."""
    min_found: PositiveInt = 8
    """Frames of a clip that must show a face, ``num_frames`` at most; the landmarks of the others are missing (NaN)."""
    short: Literal["repeat_first", "resample", "drop"] = "repeat_first"
    """What becomes of a sequence with fewer than ten frames; the paper does not say. Padded clips are counted."""
    sampling: Literal["whole", "tens"] = "whole"
    """RAVDESS, CREMA-D and own videos: ten frames spread over the whole recording, or successive tens. The paper's four
    databases are always cut as the paper says."""
    camera: Literal["left", "right", "both"] = "left"
    """DISFA's camera of the stereo pair; the paper does not say."""
    au_threshold: Literal[1, 2, 3, 4, 5] = 1
    """Intensity from which an action unit counts as present in EMFACS (DISFA); the paper does not say."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_found > self.num_frames:
            raise InputError(f"min_found = {self.min_found} should be at most num_frames = {self.num_frames}")
        return self


@dataclass(frozen=True, config=_STRICT)
class NetworkSettings(Settings):
    """The network of Section 3 and what Figure 2 would have settled."""

    variant: Variant = "3d+landmarks"
    """``2d`` (kernels of depth 1, mean over frames), ``3d`` (plain shortcuts) or ``3d+landmarks`` (Eq. 3); or
    ``r3d_18``, a network of that shape in place of the paper's (`model.r3d`)."""
    width: Annotated[float, Field(gt=0, le=8)] = 1.0
    """Channels as a share of the full network's."""
    stem_strides: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=3, max_length=3)] = (2, 2, 2)
    """Spatial strides of the stem's first convolution, pooling and last convolution: 299 to 150 to 75 to 38."""
    window: Annotated[int, Field(ge=1, le=299)] = 7
    """Side of the square window round a landmark, in cells of the filter's grid, an odd number (paper: 7 x 7)."""
    slope: NonNegativeFloat = 0.1
    """Weight lost per unit of distance (paper, Eq. 2)."""
    distance: Distance = "manhattan"
    """Distance in the filter (paper: Manhattan; the others were tried by the authors)."""
    overlap: Overlap = "max"
    """Where windows overlap, the larger weight (the nearer landmark) counts; the paper does not say."""
    norm: Literal["batch", "head", "none"] = "batch"
    """Batch normalisation after every convolution, only before the LSTM, or nowhere (the paper's text names none)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of pooled features dropped in training; Inception-ResNet's value."""
    lstm_units: Annotated[int, Field(ge=1, le=4096)] = 200
    """Hidden units of the LSTM (paper)."""
    readout: Literal["mean", "last"] = "mean"
    """The LSTM's ten outputs averaged, or the last alone; averaging learns from far fewer clips."""
    landmark_stream: bool = False
    """A second stream, an LSTM on how far the landmarks moved, whose logits are added. The paper has none; with a few
    hundred clips it predicts better than the pictures do."""
    shape_stream: bool = False
    """A further stream, an LSTM on where the landmarks lie in the face, which shows an expression that is held. With a
    few hundred clips it learns the people instead; meant for pre-training."""
    shape_weight: NonNegativeFloat = 0.6
    """Weight of the shape stream's logits beside the landmark stream's."""
    appearance_weight: NonNegativeFloat = 0.4
    """Weight of the pictures' logits beside the landmark stream's: they are more confident than they are accurate."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.window % 2 == 0:
            raise InputError(f"window = {self.window} should be an odd number: a landmark's cell is its middle")
        if self.variant == "r3d_18" and (self.norm != "batch" or self.landmark_stream or self.shape_stream):
            others = "expected norm = batch, and landmark_stream and shape_stream = false"
            raise InputError(f"r3d_18 has batch normalisation and no landmark streams: {others}", "--recipe default")
        return self


@dataclass(frozen=True, config=_STRICT)
class TrainingSettings(Settings):
    """The optimisation of Section 3.3 and what it leaves open."""

    epochs: PositiveInt = 40
    """Passes over the training clips, fixed before a test fold is looked at; the paper does not say."""
    batch_size: PositiveInt = 32
    """Clips in a step; the paper does not say."""
    accumulate: PositiveInt = 1
    """Parts that a step computes one after another, their gradients added: less memory. Batch normalisation then sees
    each part by itself, as if ``batch_size`` were smaller."""
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced``: the loss of a clip is weighted by N / (K * N_k), the inverse frequency of its class among the
    training clips, for databases with one frequent class (DISFA's neutral). The paper names no weights."""
    lr: PositiveFloat = 0.01
    """Learning rate at its peak (paper: 0.01)."""
    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Momentum of SGD (paper)."""
    weight_decay: NonNegativeFloat = 1e-4
    """Weight decay of SGD (paper)."""
    nesterov: bool = True
    """Nesterov's momentum; the paper says only momentum."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Course of the learning rate after warm-up; the paper states one constant rate."""
    warmup_epochs: NonNegativeFloat = 1.0
    """Epochs of linear warm-up from zero, ``epochs`` at most."""
    clip_norm: ClipNorm = "parts"
    """``whole``: each clip shifted and scaled to mean 0 and deviation 1. ``parts``: its still picture (each pixel's
    mean over time) and its motion (what is left) each so, then added; an expression is worth a few grey levels, the
    person many. The paper does not say."""
    mirror: bool = True
    """Augmentation: random horizontal mirror, left and right landmarks swapped."""
    rotation: NonNegativeFloat = 5.0
    """Augmentation: rotation drawn from plus or minus this many degrees, one a clip."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.06
    """Augmentation: size drawn from 1 plus or minus this share."""
    shift: NonNegativeFloat = 0.04
    """Augmentation: shift drawn from plus or minus this share of the side."""
    landmark_noise: NonNegativeFloat = 0.0
    """Augmentation: standard deviation of a simulated detector's error, a share of the inter-ocular distance. The error
    is constant over a clip: one for each region of the face and, half as large, one for each landmark."""
    seed: NonNegativeInt = 0
    """Seed of initialisation, order and augmentation."""
    precision: Precision = "auto"
    """``auto``: bf16 where the processor computes in it, else fp32."""
    device: Device = "auto"
    """``auto``: the GPU where there is one."""
    compile: bool = False
    """Compile the network (`torch.compile`) at the start, which takes minutes and a C++ compiler. Meant for a GPU: the
    CPU gains nothing (docs/performance.md)."""
    async_workers: NonNegativeInt = 0
    """Processes that share the weights on the CPU and don't wait for one another (paper: asynchronous SGD, number not
    stated); 0: synchronous SGD, which is exactly repeatable."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise InputError(f"warmup_epochs = {self.warmup_epochs} should be at most epochs = {self.epochs}")
        return self


@dataclass(frozen=True, config=_STRICT)
class PretrainingSettings(Settings):
    """Rendered people to start from, an option beside the paper's training from scratch."""

    people: Annotated[int, Field(ge=2)] = 480
    """Invented people, none of them in a stand-in; one in twenty is held out. With half as many, fine-tuning does not
    beat the linear classifier."""
    recordings: PositiveInt = 10
    """Clips of each."""
    epochs: PositiveInt = 12
    """Passes over them; nine help more than six."""
    batch_size: PositiveInt = 16
    """Clips in a step."""
    lr: PositiveFloat = 0.03
    """Learning rate at its peak."""
    seed: NonNegativeInt = 0
    """The same seed gives the same people."""


@dataclass(frozen=True, config=_STRICT)
class FinetuningSettings(Settings):
    """Trainings that start from weights that come with the package: a row of the tables, and a departure."""

    weights: str = "synthetic"
    """The name of these weights."""
    epochs: PositiveInt = 4
    """Passes over the training clips, a third of those from scratch in profile ``tables``."""
    lr: PositiveFloat = 0.005
    """Learning rate at its peak, a quarter of that from scratch, which would undo part of what the weights learned."""


@dataclass(frozen=True, config=_STRICT)
class StandinSettings(Settings):
    """How many invented people each database's stand-in shows, at least one a fold, and how often each."""

    ckplus: PositiveInt = 8
    """About 2.8 labelled sequences of some 15 frames each, as in the original."""
    mmi: PositiveInt = 5
    """Videos of some 25 frames each."""
    fera: Annotated[int, Field(ge=1, le=10)] = 5
    """Videos of some 25 frames each; ten actors at most, as in the original."""
    disfa: Annotated[int, Field(ge=1, le=27)] = 5
    """One long video each; 27 at most, as in the original."""
    ravdess: Annotated[int, Field(ge=1, le=24)] = 5
    """Videos of some 25 frames each; 24 actors at most, as in the original."""
    cremad: Annotated[int, Field(ge=1, le=91)] = 5
    """Videos of some 25 frames each; 91 actors at most, as in the original."""
    recordings: PositiveInt = 3
    """What a person shows: labelled videos (in MMI six at most), expressions of 34 frames in DISFA's one video."""
    seed: int = 0
    """The same seed gives the same bytes."""

    def subjects(self, database: str) -> int:
        """Invented people in the stand-in of a database; an `InputError` for own videos, which have none."""
        if labels.check_database(database) not in self.names():
            raise InputError(
                f"{labels.TITLES[database]} have no synthetic stand-in",
                f"{database.upper()}=folder with make, FER3D_{database.upper()}=folder with fer3d",
            )
        return int(getattr(self, database))


@dataclass(frozen=True, config=_STRICT)
class Profile(Settings):
    """One named choice of data size, input size, width and epochs. The code path is one."""

    name: str
    clips: ClipSettings = ClipSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    pretraining: PretrainingSettings = PretrainingSettings()
    finetuning: FinetuningSettings | None = FinetuningSettings()
    """None: the shipped weights have another input."""
    standins: StandinSettings = StandinSettings()
    folds: Annotated[int, Field(ge=2)] = 5
    """Subject-independent folds (paper: 5); as many as there are subjects where these are fewer."""
    published_folds: bool = False
    """Use the folds of a publication instead, where the database has such (`splits.PUBLISHED_FOLDS`)."""


_SMALL = NetworkSettings(width=0.25, stem_strides=(2, 2, 1), window=3)
"""64 pixels with one stem stride fewer: grids 16, 7 and 3. There a window of 3 x 3, not 7 x 7, leaves part of the grid
at 0. The stride left out is the last one, which costs a sixth less than leaving out the pool's."""

_LAPTOP = Profile(
    name="laptop",
    clips=ClipSettings(size=64),
    network=_SMALL,
    training=TrainingSettings(epochs=24, batch_size=8, lr=0.02),
    standins=StandinSettings(ckplus=90, mmi=10, fera=10, disfa=8, ravdess=8, cremad=10, recordings=5),
)

PROFILES: Final[Mapping[str, Profile]] = {
    "tiny": Profile(
        name="tiny",
        clips=ClipSettings(size=64),
        network=dataclasses.replace(_SMALL, width=0.125),
        training=TrainingSettings(epochs=2, batch_size=8),
        finetuning=FinetuningSettings(epochs=1),
    ),
    "laptop": _LAPTOP,
    "tables": dataclasses.replace(
        _LAPTOP,
        name="tables",
        training=dataclasses.replace(_LAPTOP.training, epochs=12),
        standins=dataclasses.replace(_LAPTOP.standins, ckplus=118, mmi=20, disfa=15, recordings=6),
    ),
    "paper": Profile(
        name="paper",
        finetuning=None,
        standins=StandinSettings(ckplus=118, mmi=30, fera=10, disfa=27, ravdess=24, cremad=91, recordings=6),
    ),
}


def profile(name: str) -> Profile:
    """The profile of that name; an `InputError` lists the known ones."""
    if name not in PROFILES:
        raise InputError(f"profile {name!r} does not exist: expected one of {', '.join(PROFILES)}")
    return PROFILES[name]


def in_recipe(chosen: Profile, recipe: str) -> Profile:
    """The profile in one of the recipes.

    ``default``: as it is. ``joint``, for a few hundred clips: a second stream for the landmarks' motion and more weight
    decay. ``paper``: the optimisation that the text states, SGD with momentum 0.9 and weight decay 1e-4 at a constant
    rate of 0.01, without normalisation layers and augmentation, pictures from -1 to 1. Epochs and batch size, which
    the text leaves open, stay those of the profile, and so do the network's width, strides and window.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe {recipe!r} does not exist: expected one of {', '.join(RECIPES)}")
    if recipe == "default":
        return chosen
    if recipe == "joint":
        return chosen.from_params({"network": {"landmark_stream": True}, "training": {"weight_decay": 5e-3}}, chosen)
    stated = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": False, "schedule": "constant"}
    unsaid = {"warmup_epochs": 0, "clip_norm": "none", "mirror": False, "rotation": 0, "scale": 0, "shift": 0}
    return chosen.from_params({"network": {"norm": "none"}, "training": stated | unsaid}, chosen)


def make_profile(name: str, variant: str, recipe: str = "default", **training: Any) -> Profile:
    """The profile of that name with one of the variants, in one of the recipes, with these training settings."""
    base = in_recipe(profile(name), recipe)
    return base.from_params({"network": {"variant": variant}, "training": training}, base)
