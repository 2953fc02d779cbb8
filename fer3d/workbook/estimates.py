"""What the workflow's jobs take: time, memory and disk, by profile and rule.

A training's time follows from its clips and epochs. The laptop profile's times were measured on a processor that
computes in bf16 (``docs/performance.md``), and the paper profile's for a synthetic CK+ and one H100
(``docs/results.md``); those of ``r3d_18`` follow from its speed beside ``3d+landmarks`` in fp32. The tables profile's
other times follow from the laptop profile's and the numbers of people; the tiny profile's times, memory and disk are
estimates. The plan, the time left and a cluster's limits follow from them.
"""

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

from fer3d import config, files
from fer3d.errors import InputError
from fer3d.workbook import models, pipeline
from fer3d.workbook.pipeline import Job

SECONDS: Mapping[str, Mapping[str, float]] = {
    "tiny": {"standin": 12, "prepare": 8, "data_prep": 12, "report": 8, "baselines": 15},
    "laptop": {"standin": 65, "prepare": 21, "data_prep": 16, "report": 8, "baselines": 60},
    "tables": {"standin": 104, "prepare": 34, "data_prep": 16, "report": 60, "baselines": 90},
    "paper": {"standin": 400, "prepare": 160, "data_prep": 60, "report": 30, "baselines": 3600},
}
"""Of one job on one core."""

NOTEBOOK_SECONDS = 14
"""Of a notebook that trains nothing; also what a training's notebook takes beside the training."""
START_SECONDS = 8
"""Of a training without a notebook, before the first step."""

_SMALL = {"2d": 0.017, "3d": 0.022, "3d+landmarks": 0.023, models.FINETUNED: 0.024, "r3d_18": 0.013}
CLIP_SECONDS: Mapping[str, Mapping[str, float]] = {
    "tiny": {"2d": 0.01, "3d": 0.013, "3d+landmarks": 0.013, models.FINETUNED: 0.024, "r3d_18": 0.008},
    "laptop": _SMALL,
    "tables": _SMALL,
    "paper": {"2d": 0.0055, "3d": 0.0073, "3d+landmarks": 0.0073, "r3d_18": 0.005},
}
"""Of one clip in one epoch of a training: on one core, in the paper's profile on a GPU."""
WITHOUT_BF16 = 2.2
"""A training takes this many times as long on a processor that doesn't compute in bf16."""

CLIPS: Mapping[str, float] = {"ckplus": 2.8, "mmi": 1.8, "fera": 2.0, "disfa": 2.9, "ravdess": 1.0, "cremad": 1.0}
"""Expected clips of a database that is not prepared yet: per person in CK+, per recording in the other stand-ins."""

MEGABYTES: Mapping[str, Mapping[str, float]] = {
    "tiny": {"standin": 25, "prepare": 10, "training": 4},
    "laptop": {"standin": 210, "prepare": 40, "training": 6, "network": 5, "finetuned": 6},
    "tables": {"standin": 300, "prepare": 60, "training": 6, "network": 5, "finetuned": 6},
    "paper": {"standin": 300, "prepare": 2000, "training": 200, "network": 130},
}
"""On disk, of one job; a store needs its size twice while it is written."""

MEMORY_MB: Mapping[str, int] = {"tiny": 3000, "laptop": 4000, "tables": 4000, "paper": 24000}
"""Of a training; a batch of the paper's profile needs about 11 GB for its gradients. Other jobs need half."""

ON_A_GPU: Mapping[str, int] = {"tiny": 8, "laptop": 8, "tables": 8, "paper": 1}
"""Trainings that share a GPU of this machine. With 64 pixels each waits mostly for its processor core and takes 0.5 GB
of the GPU's memory (``make tables SEEDS=3``, 16 at a time on one H200); at full size one is enough."""


def seconds(profile: str, rule: str, trainings: Mapping[str, float]) -> float:
    """How long a job of a rule takes; ``trainings`` are those of `of_trainings`."""
    known = {**SECONDS[profile], **trainings}
    return known.get(rule.removeprefix("largest_"), NOTEBOOK_SECONDS)


def of_trainings(jobs: Mapping[str, Collection[Job]], profile: str) -> dict[str, float]:
    """How long an average training of each rule takes, from the clips and epochs of its jobs."""
    return {rule: sum(_training(job, profile) for job in of) / len(of) for rule, of in jobs.items() if of}


def _training(job: Job, profile: str) -> float:
    learned = job.trained_on or (job.database,)
    share = 1 if job.trained_on else 1 - 1 / pipeline.number_of_folds(job.database, config.profile(profile))
    epochs = models.profile_of(job.model, profile).training.epochs
    steps = epochs * share * sum(_clips(name, profile) for name in learned)
    slower = 1 if profile == "paper" or _computes_in_bf16() else WITHOUT_BF16
    start = NOTEBOOK_SECONDS if job.model in config.PAPER_VARIANTS and not job.seed else START_SECONDS
    return start + slower * CLIP_SECONDS[profile][job.model] * steps


def _clips(database: str, profile: str) -> float:
    """The clips of a prepared store, or about how many it will have."""
    with contextlib.suppress(InputError, KeyError, TypeError, ValueError):  # none is there, or a damaged one: made anew
        return float(files.read_json(pipeline.store_folder(database, profile) / "prepared.json")["clips"])
    settings = config.profile(profile).standins
    people = settings.subjects(database) if database in settings.names() else settings.ckplus
    return CLIPS.get(database, 1.0) * people * (1 if database == "ckplus" else settings.recordings)


def _computes_in_bf16() -> bool:
    """As `devices.best_precision` finds it, without loading PyTorch."""
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text(errors="replace") if cpu.exists() else ""
    return "avx512_bf16" in text or "amx_bf16" in text


def minutes(profile: str, rule: str, trainings: Mapping[str, float]) -> int:
    """What to ask a cluster for: four times the estimate, at least a quarter of an hour."""
    return max(15, round(4 * seconds(profile, rule, trainings) / 60))


def megabytes(profile: str, rule: str) -> float:
    """What a job of a rule leaves on disk."""
    return MEGABYTES[profile].get(rule.removeprefix("largest_").removeprefix("quick_"), 2)
