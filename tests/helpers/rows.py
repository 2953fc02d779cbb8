"""Rows of a run's tables as the workflow leaves them."""

from collections.abc import Sequence
from pathlib import Path

from tables import predictions

from fer3d import config, files, labels
from fer3d.evaluation import metrics
from fer3d.workbook import models, pipeline

CLASSES = labels.CLASSES["ckplus"]
COUNTS = {"clips": 36, "padded": 5, "rejected": 4, "skipped": 3, "fingerprint": "abc"}


def finish(run: Path, job: pipeline.Job, truth: Sequence[str], right: int, data: Sequence[str]) -> None:
    """A training as `pipeline.run_job` leaves it, with the first ``right`` clips predicted correctly."""
    folder, n = job.folder(run), len(truth)
    after = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))
    predicted = [name if row < right else after[name] for row, name in enumerate(truth)]
    split = job.split.partition("-")[0]
    subjects = [f"{split}_{row // 3}" for row in range(n)]
    table = predictions(truth, predicted, subjects, clip=f"{split}_").assign(database=job.database)
    files.write_csv(folder / "predictions.csv", table)
    names = (job.database, *job.trained_on)
    sources = [COUNTS | {"database": name} for name in names]
    info = {
        "fer3d": "0",
        "profile": models.profile_of(
            job.model if job.model in config.VARIANTS else "3d", "tiny", seed=job.seed
        ).as_dict(),
        "data": {"test": sources[0], "train": sources[1:] or sources, "split": {} if job.trained_on else {"folds": 5}},
        "titles": dict(zip(names, data, strict=True)),
        "made_with": {"torch": "2.13.0", "device": "cpu", "processor": "Abacus"},
    }
    files.write_json(folder / "model.json", info)
    left_out = {"contempt": 2} if job.trained_on else {}
    files.write_json(folder / "metrics.json", metrics.evaluate(table) | {"left_out": left_out})
