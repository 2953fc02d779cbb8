"""Every setting, once: its name, its unit, its default and the line of reasoning behind it.

Settings are frozen dataclasses; a profile is one of each. Papermill parameters, command
line options and the JSON stored beside a result use the same names. A setting that the
paper states says "paper"; one that it leaves open says why it is what it is.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from fer3d import labels
from fer3d.errors import InputError

Variant = Literal["2d", "3d", "3d+landmarks"]
VARIANTS: tuple[str, ...] = typing.get_args(Variant)
RECIPES = ("default", "paper", "joint")
ClipNorm = Literal["parts", "whole", "none"]
Distance = Literal["manhattan", "euclidean", "chebyshev"]
Overlap = Literal["max", "sum"]


@dataclass(frozen=True)
class Settings:
    """Base of all settings: strict construction from untyped parameters."""

    @classmethod
    def from_params(cls, params: Mapping[str, Any], base: Self | None = None) -> Self:
        """Settings from names and values; an unknown name or an ill-typed value is an `InputError`.

        ``base`` supplies what ``params`` does not name. Whole numbers are accepted where a
        float is wanted, lists where a tuple is.
        """
        hints = typing.get_type_hints(cls)
        names = [f.name for f in dataclasses.fields(cls)]
        for name in params:
            if name not in names:
                raise InputError(
                    f"setting {name!r}", f"one of {', '.join(names)}", f"one of these names of {cls.__name__}"
                )
        given = {name: _typed(name, value, hints[name]) for name, value in params.items()}
        return dataclasses.replace(base, **given) if base is not None else cls(**given)

    def require(self, *bounds: tuple[str, bool, str]) -> None:
        """An `InputError` for the first setting out of bounds, each as name, whether it is good, what is wanted."""
        for name, good, wanted in bounds:
            if not good:
                raise InputError(f"{name} = {getattr(self, name)}", wanted, f"another {name}")

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready names and values."""
        return dataclasses.asdict(self)


def _typed(name: str, value: Any, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in args:
            return value
        raise InputError(f"{name} = {value!r}", f"one of {', '.join(map(str, args))}", f"{name} = {args[0]!r}")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return _typed(name, value, next(a for a in args if a is not type(None)))
    if origin is tuple:
        if isinstance(value, list | tuple) and (args[-1] is Ellipsis or len(value) == len(args)):
            return tuple(_typed(name, v, args[0]) for v in value)
        raise InputError(f"{name} = {value!r}", f"{len(args)} values", f"{name} = a list of {len(args)}")
    if isinstance(hint, type) and issubclass(hint, Settings):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return hint.from_params(value)
    elif hint is float and type(value) is int:
        return float(value)
    elif type(value) is hint:
        return value
    kind = getattr(hint, "__name__", str(hint))
    raise InputError(f"{name} = {value!r} ({type(value).__name__})", f"a value of type {kind}", f"{name} as {kind}")


@dataclass(frozen=True)
class ClipSettings(Settings):
    """What a prepared store depends on: cropping and cutting into clips."""

    size: int = 299
    """Side of the square face crop in pixels (paper)."""
    num_frames: int = 10
    """Frames in a clip (paper)."""
    margin: float = 0.15
    """Added on each side of the square round the 66 points, as a share of its side; the paper does not say."""
    align: bool = False
    """Rotate the crop so that the eyes are level; the paper does not say. Roll may belong to the expression."""
    detector: Literal["haar", "hog"] = "haar"
    """OpenCV's Haar cascade (paper: "OpenCV face recognition") or dlib's HOG detector."""
    track: bool = True
    """Follow the face by the previous frame's points and verify; False searches every frame anew, slowly."""
    crop_per: Literal["clip", "frame"] = "clip"
    """One square for all frames of a clip, so that what moves in it is the face; the paper does not say."""
    min_face: int = 80
    """Smallest face accepted: side of its box in pixels of the frame (about twice the eyes' distance)."""
    min_found: int = 8
    """Frames of a clip that must show a face; the landmarks of the others are missing (NaN)."""
    short: Literal["repeat_first", "resample", "drop"] = "repeat_first"
    """What becomes of a sequence with fewer than ten frames; the paper does not say. Padded clips are counted."""
    camera: Literal["left", "right", "both"] = "left"
    """DISFA's camera of the stereo pair; the paper does not say."""
    au_threshold: Literal[1, 2, 3, 4, 5] = 1
    """Intensity from which an action unit counts as present in EMFACS (DISFA); the paper does not say."""


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """The network of Section 3 and what Figure 2 would have settled."""

    variant: Variant = "3d+landmarks"
    """``2d`` (kernels of depth 1, mean over frames), ``3d`` (plain shortcuts) or ``3d+landmarks`` (Eq. 3)."""
    width: float = 1.0
    """Channels as a share of the full network's."""
    stem_strides: tuple[int, int, int] = (2, 2, 2)
    """Spatial strides of the stem's first convolution, pooling and last convolution: 299 to 150 to 75 to 38."""
    window: int = 7
    """Side of the square window round a landmark, in cells of the filter's grid (paper: 7 x 7)."""
    slope: float = 0.1
    """Weight lost per unit of distance (paper, Eq. 2)."""
    distance: Distance = "manhattan"
    """Distance in the filter (paper: Manhattan; the others were tried by the authors)."""
    overlap: Overlap = "max"
    """Where windows overlap, the larger weight (the nearer landmark) counts; the paper does not say."""
    norm: Literal["batch", "head", "none"] = "batch"
    """Batch normalisation after every convolution, only before the LSTM, or nowhere (the paper's text names none)."""
    dropout: float = 0.2
    """Share of pooled features dropped in training; Inception-ResNet's value."""
    lstm_units: int = 200
    """Hidden units of the LSTM (paper)."""
    readout: Literal["mean", "last"] = "mean"
    """The LSTM's ten outputs averaged, or the last alone; averaging learns from far fewer clips."""
    geometry: bool = False
    """A second stream, an LSTM on how far the landmarks moved, whose logits are added. The paper has none; with some
    hundred clips it says more than the pictures."""
    picture_share: float = 0.4
    """Weight of the pictures' logits beside the geometry's: they are surer of themselves than they are right."""


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """The optimisation of Section 3.3 and what it leaves open."""

    epochs: int = 40
    """Passes over the training clips, fixed before a test fold is looked at; the paper does not say."""
    batch_size: int = 32
    """Clips in a step; the paper does not say."""
    lr: float = 0.01
    """Learning rate at its peak (paper: 0.01)."""
    momentum: float = 0.9
    """Momentum of SGD (paper)."""
    weight_decay: float = 1e-4
    """Weight decay of SGD (paper)."""
    nesterov: bool = True
    """Nesterov's momentum; the paper says only momentum."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Course of the learning rate after warm-up; the paper states one constant rate."""
    warmup_epochs: float = 1.0
    """Epochs of linear warm-up from zero."""
    clip_norm: ClipNorm = "parts"
    """``whole``: each clip shifted and scaled to mean 0 and deviation 1. ``parts``: its still picture (each pixel's
    mean over time) and its motion (what is left) each so, then added; an expression is worth a few grey levels, the
    person many. The paper does not say."""
    mirror: bool = True
    """Augmentation: random horizontal mirror, left and right landmarks swapped."""
    rotation: float = 5.0
    """Augmentation: rotation drawn from plus or minus this many degrees, one a clip."""
    scale: float = 0.06
    """Augmentation: size drawn from 1 plus or minus this share."""
    shift: float = 0.04
    """Augmentation: shift drawn from plus or minus this share of the side."""
    seed: int = 0
    """Seed of initialisation, order and augmentation."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """``auto``: bf16 where the processor computes in it, else fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto``: the GPU where there is one."""
    compile: bool = False
    """Compile the network (`torch.compile`) at the start, which takes minutes and a C++ compiler. Meant for a GPU: the
    CPU gains nothing (README)."""
    async_workers: int = 0
    """Processes that share the weights on the CPU and don't wait for one another (paper: asynchronous SGD, number not
    stated); 0: synchronous SGD, which is exactly repeatable."""


@dataclass(frozen=True)
class PretrainingSettings(Settings):
    """Rendered people to start from, an option beside the paper's training from scratch."""

    people: int = 480
    """Invented people, none of them in a stand-in; one in twenty is held out. Half as many leave the linear classifier
    unbeaten."""
    recordings: int = 10
    """Clips of each."""
    epochs: int = 12
    """Passes over them; nine help more than six."""
    batch_size: int = 16
    """Clips in a step."""
    lr: float = 0.03
    """Learning rate at its peak."""
    seed: int = 0
    """The same seed gives the same people."""


@dataclass(frozen=True)
class StandinSettings(Settings):
    """How many invented people each database's stand-in shows, at least one a fold, and how often each."""

    ckplus: int = 8
    """About 2.8 labelled sequences of some 15 frames each, as in the original."""
    mmi: int = 5
    """Videos of some 25 frames each."""
    fera: int = 5
    """Videos of some 25 frames each; ten actors at most, as in the original."""
    disfa: int = 5
    """One long video each; 27 at most, as in the original."""
    recordings: int = 3
    """What a person shows: labelled videos in MMI (six at most) and FERA, feelings of 40 frames in DISFA's one video
    (six at most)."""
    seed: int = 0
    """The same seed gives the same bytes."""

    def subjects(self, database: str) -> int:
        """Invented people in the stand-in of a database."""
        return int(getattr(self, labels.check_database(database)))


@dataclass(frozen=True)
class Profile(Settings):
    """One named choice of data size, input size, width and epochs. The code path is one."""

    name: str
    clips: ClipSettings = field(default_factory=ClipSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    standins: StandinSettings = field(default_factory=StandinSettings)
    folds: int = 5
    """Subject-independent folds (paper: 5)."""


_SMALL = NetworkSettings(width=0.25, stem_strides=(2, 2, 1), window=3)
"""64 pixels with one stem stride fewer: grids 16, 7 and 3. A 3 x 3 window keeps the mask a mask there.
Of the strides the last is left out, which costs a sixth less than leaving out the pool's."""

PROFILES: Mapping[str, Profile] = types.MappingProxyType(
    {
        "tiny": Profile(
            name="tiny",
            clips=ClipSettings(size=64),
            network=dataclasses.replace(_SMALL, width=0.125),
            training=TrainingSettings(epochs=2, batch_size=8),
        ),
        "laptop": Profile(
            name="laptop",
            clips=ClipSettings(size=64),
            network=_SMALL,
            training=TrainingSettings(epochs=24, batch_size=8, lr=0.02),
            standins=StandinSettings(ckplus=90, mmi=12, fera=7, disfa=6, recordings=5),
        ),
        "paper": Profile(name="paper", standins=StandinSettings(ckplus=118, mmi=30, fera=10, disfa=27, recordings=6)),
    }
)


def profile(name: str) -> Profile:
    """The profile of that name; an `InputError` lists the known ones."""
    if name not in PROFILES:
        raise InputError(f"profile {name!r}", f"one of {', '.join(PROFILES)}", "--profile laptop")
    return PROFILES[name]


def in_recipe(chosen: Profile, recipe: str) -> Profile:
    """The profile in one of the recipes.

    ``default``: as it is. ``joint``, for some hundred clips: with a second stream for the landmarks' motion, and more
    weight decay. ``paper``: without what is ours in its optimisation. Then, as the text states: SGD with momentum 0.9
    and weight decay 1e-4 at a constant rate of 0.01, no layer that normalises, no augmentation, pictures from -1 to 1.
    Epochs and batch size, which the text leaves open, stay the profile's, and so does what makes the network smaller.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe {recipe!r}", f"one of {', '.join(RECIPES)}", "--recipe paper")
    if recipe == "default":
        return chosen
    if recipe == "joint":
        return dataclasses.replace(
            chosen,
            network=dataclasses.replace(chosen.network, geometry=True),
            training=dataclasses.replace(chosen.training, weight_decay=5e-3),
        )
    stated = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": False, "schedule": "constant"}
    unsaid = {"warmup_epochs": 0, "clip_norm": "none", "mirror": False, "rotation": 0, "scale": 0, "shift": 0}
    return dataclasses.replace(
        chosen,
        network=dataclasses.replace(chosen.network, norm="none"),
        training=TrainingSettings.from_params(stated | unsaid, chosen.training),
    )
