"""What is committed of a run on synthetic data: its tables and what they were computed from, and the README's table.

``reports/synthetic/`` holds Tables 1 and 2, the tested claims, the confusion matrices of the paper's network and of the
fine-tuned one (Figures 4 and 5), the predictions of every row, and ``about.json``: the command, versions and machine.
The README's table is made from these files alone, so that a test can hold one against the other.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from fer3d import config, files, labels
from fer3d.errors import InputError
from fer3d.evaluation import hypotheses, metrics
from fer3d.workbook import claims, models
from fer3d.workbook.rows import Row, rates_table, rows_of
from fer3d.workers import processor_name

BEGIN, END = "<!-- results: made by fer3d publish -->", "<!-- end of results -->"
"""The README's lines round what is made."""
DRAWN = ("3d+landmarks", models.FINETUNED)
"""The models whose confusion matrices are published."""
_COLUMNS = {
    "2d": "`2d`",
    "3d": "`3d`",
    "3d+landmarks": "`3d+landmarks`",
    models.FINETUNED: "`3d+landmarks` and landmark streams, fine-tuned",
    "r3d_18": "r3d_18's shape",
    "linear": "linear on landmark motion",
    "lbp_top": "LBP-TOP, SVM",
}
"""The models of the README's table, with the heads of their columns."""
BELOW = "†"
"""Marks an accuracy below the majority class."""


def publish(run: Path, out: Path, readme: Path) -> Path:
    """Write the published folder of a run, in the place of the one before, and the README's table from it.

    Args:
        run: the run's folder, with its report.
        out: the folder, usually `paths.PUBLISHED`.
        readme: a file with the lines `BEGIN` and `END`.

    Raises:
        InputError: no finished training, results on licensed data, no report, or a README without these lines.
    """
    found = list(rows_of(run))
    if not found:
        raise InputError(f"{run} has no finished training", "make tables")
    if real := [name for row in found for name in row.made_of["data"] if not name.endswith(labels.SYNTHETIC)]:
        raise InputError(f"{run} has results on {real[0]}, which may not be published: expected only synthetic data")
    _check_alike(run, found)
    text = readme.read_text(encoding="utf-8")
    if not _SECTION.search(text):
        raise InputError(f"{readme} lacks the lines {BEGIN} and {END}")
    with files.atomic(out, folder=True) as folder:
        for number, cross in ((1, False), (2, True)):
            files.write_csv(folder / f"table{number}.csv", rates_table([row for row in found if row.cross is cross]))
        files.write_csv(folder / "hypotheses.csv", claims.table(claims.test(found)))
        for row in found:
            pooled = metrics.pool([metrics.read_predictions(each) for each in row.folders]).round(5)
            files.write_csv(folder / "predictions" / f"{row.figure_name}.csv", pooled)
            if row.model in DRAWN:
                _copy_figure(run, folder, row)
        files.write_json(folder / "about.json", _about(run, found))
    files.write_text(readme, _SECTION.sub(lambda _: f"{BEGIN}\n{section(out)}\n{END}", text))
    return out


_SECTION = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)


def current(readme: Path) -> str:
    """What a README says between the two lines; empty where it lacks them."""
    found = _SECTION.search(readme.read_text(encoding="utf-8"))
    return found[0].removeprefix(BEGIN).removesuffix(END).strip("\n") if found else ""


def _check_alike(run: Path, found: list[Row]) -> None:
    """An `InputError` where the rows were not computed by one program, on one state of each database.

    The fine-tuned networks may be of another program than the others: with new weights they alone are made anew.
    """
    tuned = {row.made_of["fer3d"] for row in found if row.model == models.FINETUNED}
    programs = {row.made_of["fer3d"] for row in found if row.model not in (models.FINETUNED, *models.CLASSICAL)}
    stores = {(name, source["fingerprint"]) for row in found for name, source in row.made_of["data"].items()}
    unlike = max(len(programs), len(tuned)) > 1 or len(stores) > len({name for name, _ in stores})
    if unlike or any(row.stale_folds for row in found):
        raise InputError(f"{run} has results of several programs or states of the data", "the command that made it")


def _copy_figure(run: Path, folder: Path, row: Row) -> None:
    """The confusion matrix that the report drew of the row's clips."""
    (folder / "figures").mkdir(exist_ok=True)
    for suffix in (".svg", ".csv"):
        figure = run / "figures" / f"{row.figure_name}{suffix}"
        if not figure.is_file():
            raise InputError(f"there is no {figure}", f"fer3d report {run}")
        shutil.copy(figure, folder / "figures")
    drawn = pd.read_csv(folder / "figures" / f"{row.figure_name}.csv").drop(columns="true")
    if drawn.to_numpy().tolist() != row.metrics["confusion"]:
        raise InputError(f"{run}/figures/{row.figure_name}.svg is older than the trainings", f"fer3d report {run}")


def _about(run: Path, found: list[Row]) -> dict[str, Any]:
    """The command, versions, machines and time of a run."""
    first = files.read_json(found[0].folders[0] / "model.json")
    tuned = [row for row in found if row.model == models.FINETUNED]
    scratch = [row for row in found if row.model not in (models.FINETUNED, *models.CLASSICAL)]
    profile, seeds = first["profile"]["name"], max(max(row.by_seed) for row in found) + 1
    words = ["make", "tables", *([f"PROFILE={profile}"] if profile != "tables" else [])]
    words += [f"SEEDS={seeds}"] if seeds > 1 else []
    words += [f"RUN={run.name}"] if run.name != profile else []
    return {
        "command": shlex.join(words),
        "run": run.name,
        "made_with": _made_with(scratch or tuned or found),
        "finetuned_with": _made_with(tuned),
        "seeds": seeds,
        "settings": first["profile"],
        "data": {name: counts for row in found for name, counts in row.made_of["data"].items()},
    }


def _made_with(rows: list[Row]) -> dict[str, Any]:
    """Versions, precision and processor of some rows' trainings, their number and their time; empty without rows."""
    if not rows:
        return {}
    info = files.read_json(rows[0].folders[0] / "model.json")
    made_with = {"precision": "fp32", "processor": processor_name(), **info["made_with"]}
    made_with["processor"] = made_with["processor"].replace("(R)", "")
    folders = [folder for row in rows for of_seed in row.by_seed.values() for folder in of_seed]
    seconds = sum(files.read_json(folder / "metrics.json").get("seconds", 0) for folder in folders)
    return {"fer3d": info["fer3d"], **made_with, "trainings": len(folders), "training_seconds": round(seconds)}


def section(folder: Path) -> str:
    """The README's results as Markdown, from a published folder."""
    about = files.read_json(folder / "about.json")
    tables = [_read(folder / f"table{number}.csv") for number in (1, 2)]
    tested = _read(folder / "hypotheses.csv")
    trainings = "one training per fold"
    if about["seeds"] > 1:
        trainings += ", seed 0; the claims below say how many they count"
    lines = [
        f"**Synthetic data**, profile `{about['settings']['name']}`: {about['settings']['clips']['size']} x "
        f"{about['settings']['clips']['size']} pixels, {about['settings']['network']['width']:g} of the channels, "
        f"{about['settings']['training']['epochs']} epochs from scratch or {config.FinetuningSettings().epochs} from "
        f"the shipped weights; {_machines(about)}. Accuracy in per cent [95 % interval over "
        f"subjects], {trainings}. `reports/synthetic` also has mean ± standard deviation "
        "over folds, UAR, predictions and confusion matrices.",
        "",
        *_accuracies(tables),
        "",
        f"Command: `{about['command']}`, then `fer3d publish reports/runs/{about['run']}`. "
        "[docs/results.md](docs/results.md) has all other figures with their commands; the [model card]"
        "(fer3d/weights/synthetic/README.md) describes the shipped weights.",
    ]
    notes = [
        "The paper's figures come from other data: they cannot be compared with the others.",
        *([_STREAMS] if any(models.FINETUNED in set(rows.get("model", ())) for rows in tables) else []),
        *_below(tables),
    ]
    lines += ["", *(f"- {sentence}" for sentence in notes)]
    for title, rows in (
        ("The paper's claims, and two of fer3d's", _claims(tested)),
        (
            "Across databases a prediction of a class that the tested database doesn't label is wrong, as in the "
            "paper. With the most probable of its own classes instead, the accuracy is",
            _among(tables[1]),
        ),
    ):
        lines += ["", f"{title}:", "", *rows] if rows else []
    return "\n".join(lines)


_STREAMS = (
    "The fine-tuned network is more than the paper's. The shipped weights have two more LSTMs, which read the "
    "landmarks alone, and have learned from rendered people; the linear classifier has no pre-training."
)


def _accuracies(tables: list[pd.DataFrame]) -> list[str]:
    """The lines of Tables 1 and 2 as one table of Markdown."""
    heads = ["tested on", "n clips (subjects)", *_COLUMNS.values(), "majority class", "paper, `3d+landmarks`"]
    lines = _head(heads)
    for rows, how in zip(tables, ("", ", from the three others"), strict=True):
        of_database = [rows[rows["database"] == name].set_index("model") for name in labels.TITLES if len(rows)]
        lines += [_row(of, how) for of in of_database if len(of)]
    return lines


def _head(names: list[str]) -> list[str]:
    return [_line(names), "|---" * len(names) + "|"]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machines(about: dict[str, Any]) -> str:
    """Precision and processor; those of the fine-tuned networks too where they are others."""
    made, tuned = (
        "{precision} on {processor}".format(**way) if way else ""
        for way in (about["made_with"], about["finetuned_with"])
    )
    return f"{made}, the fine-tuned in {tuned}" if tuned not in ("", made) else made


def _read(file: Path) -> pd.DataFrame:
    """A table; without rows where the file is not there, or empty."""
    try:
        return pd.read_csv(file)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame()


def _row(of: pd.DataFrame, how: str) -> str:
    """A database's line; a cell says so where folds are missing."""
    by_model = {str(model): row for model, row in of.iterrows()}
    last = by_model.get("3d+landmarks", of.iloc[-1])
    cells = [f"{last['data']}{how}", f"{last['n']} ({last['subjects']})"]
    cells += [_cell(by_model[model]) if model in by_model else "–" for model in _COLUMNS]
    cells += [f"{last['majority']:.1f}", f"{last['paper']:.2f}" if pd.notna(last["paper"]) else "–"]
    return _line(cells)


def _cell(row: pd.Series) -> str:
    mark = BELOW if row["accuracy"] < row["majority"] else ""
    rate = f"{row['accuracy']:.1f}{mark} [{row['low']:.1f}, {row['high']:.1f}]"
    done, of, total, *_ = f"{row['held_out']} x x x".split()
    return f"{rate} ({done} of {total} folds)" if of == "of" and done != total else rate


def _below(tables: list[pd.DataFrame]) -> list[str]:
    """What the mark means, the best model of each row that has one, and its command."""
    best = []
    for rows, how in zip(tables, ("", ", from the three others"), strict=True):
        for _, of in rows.groupby("database", sort=False) if len(rows) else ():
            shown = of[of["model"].isin(_COLUMNS)]
            if (shown["accuracy"] < shown["majority"]).any():
                highest = shown[shown["accuracy"] == shown["accuracy"].max()]
                first = highest.iloc[0]
                names = ", as well as ".join(_COLUMNS[str(model)] for model in highest["model"])
                name = names if first["accuracy"] > first["majority"] else "none above it"
                best.append(f"{first['data']}{how}: {name} ({first['accuracy']:.1f})")
    if not best:
        return []
    tuned = config.FinetuningSettings()
    return [
        f"{BELOW} below the majority class. The best model of each such row: {'; '.join(best)}. "
        f"`fer3d train ... --pretrained synthetic --epochs {tuned.epochs} --lr {tuned.lr}` trains the fine-tuned "
        "network, `fer3d baselines DATABASE` the classifiers without one."
    ]


def _claims(tested: pd.DataFrame) -> list[str]:
    """A table of the claims: on all databases together where there are several, and on each where they contradict."""
    if not len(tested):
        return []
    heads = ["claim", "on", "difference, percentage points [95 %]", "p", "clips (subjects)", "trainings", "finding"]
    lines = _head(heads)
    for _, rows in tested.groupby("claim", sort=False):
        for _, row in (rows if claims.DIFFER in {*rows["found"]} else rows.head(1)).iterrows():
            on = "all together" if row["database"] == claims.ALL else labels.TITLES[row["database"]]
            difference = f"{row['difference']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"
            counted = [hypotheses.format_p(row["p"]), f"{row['n']} ({row['subjects']})", str(row["seeds"])]
            lines.append(_line([row["claim"], on, difference, *counted, row["found"]]))
    return [
        *lines,
        "",
        f"Shown means: p is below {hypotheses.LEVEL} and the interval excludes 0. p counts the subjects, for the "
        "trainings that were made; where there are several, the interval also counts the seeds. "
        f"{len(tested)} tests were made (`hypotheses.csv`), and p is not corrected for their number.",
    ]


def _among(across: pd.DataFrame) -> list[str]:
    """A table of how models do across databases where only the tested database's classes count as predictions."""
    named = [model for model in ("3d+landmarks", models.FINETUNED, "linear") if model in set(across.get("model", ()))]
    if not named:
        return []
    lines = _head(["tested on", *(_COLUMNS[model] for model in named)])
    for data, of in across.groupby("data", sort=False):
        rates = of.set_index("model")["among_labelled"]
        lines.append(_line([str(data), *(f"{rates[model]:.1f}" if model in rates else "–" for model in named)]))
    return lines
