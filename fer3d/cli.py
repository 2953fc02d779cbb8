"""The command ``fer3d``: each step by itself, for one's own data and for the workflow.

A command parses its arguments, calls the library and prints. Wrong input is one line on stderr
and exit status 2, never a traceback. With ``--json`` nothing but JSON goes to stdout. The heavy
libraries are imported inside the commands, so that ``--help`` is quick.
"""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fer3d import __version__, labels
from fer3d.errors import InputError, explain_import

if TYPE_CHECKING:
    from fer3d.config import Profile

app = typer.Typer(
    name="fer3d",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Database = Annotated[str, typer.Argument(help=f"One of {', '.join(labels.TITLES)}.")]
_RENDERED = ", ".join(name for name in labels.TITLES if name != "table")
Standin = Annotated[str, typer.Argument(help=f"One of {_RENDERED}.")]
RowDatabase = Annotated[str, typer.Argument(help=f"One of {_RENDERED}; also table where FER3D_TABLE names its folder.")]
Root = Annotated[Path, typer.Argument(help="The unpacked release, as its owner ships it.")]
ProfileName = Annotated[str, typer.Option("--profile", help="One of tiny, laptop, tables, paper.")]
VariantName = Annotated[str, typer.Option("--variant", help="One of 2d, 3d, 3d+landmarks, r3d_18.")]
RecipeName = Annotated[
    str,
    typer.Option("--recipe", help="default; joint: also an LSTM on the landmarks' motion; paper: as its text states."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; by default one per processor.")]
RunName = Annotated[str, typer.Option("--run", help="Name of the run; the profile's by default.")]
WeightsName = Annotated[str, typer.Option(help="Folder of a finished run, or the name of shipped weights.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output, nothing else on stdout.")]

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Changes a setting that this step uses, for example clips.margin of prepare, network.window or "
        "training.lr of train; may be repeated. fer3d/config.py lists and explains all settings.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"fer3d {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Facial expression recognition in video with a 3D Inception-ResNet (Hasani & Mahoor 2017)."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check whether this machine can run the workbook: one line per requirement, exit status 1 if one fails."""
    from fer3d.workbook import doctor

    checks = []
    for check in doctor.run_checks():
        checks.append(check)
        if not as_json:
            print(f"[{'OK' if check.ok else 'FAIL'}] {check.name}: {check.detail}", flush=True)
    if as_json:
        _print_json([vars(check) for check in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def standins(
    database: Standin,
    out: Annotated[Path, typer.Option(help="Folder of the release to write.")],
    subjects: Annotated[int, typer.Option(min=1, max=2000, help="Synthetic people.")] = 12,
    recordings: Annotated[int, typer.Option(min=1, help="Most recordings of a person; CK+ keeps its own number.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Write a stand-in: synthetic people, rendered and written in the layout of a licensed database."""
    from fer3d import standins

    _print_values(standins.write(database, out, subjects, seed, workers, recordings), as_json)


@app.command()
def index(
    database: Database,
    root: Root,
    csv: Annotated[
        Path | None, typer.Option(help="Also write this table: one row per sequence, found or left out.")
    ] = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames", help="Decode each recording to its end: count frames and seconds, find holes and damage."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a reader finds in a release, and what it skips and why."""
    from fer3d.data.databases import summary

    if csv:
        _check_table(csv, root)
    found = summary.summarise(database, root, csv, frames)
    if as_json:
        _print_json(found)
    else:
        print(summary.page(found))


@app.command()
def download(
    database: Annotated[str, typer.Argument(help="ravdess or crema-d.")],
    out: Annotated[Path, typer.Option(help="Folder of the release. An interrupted download in it is resumed.")],
    actors: Annotated[str, typer.Option(help="Only these actors, for example 1-4 or 1,3,8.")] = "",
    songs: Annotated[bool, typer.Option("--songs", help="Of RAVDESS also what is sung.")] = False,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licence, which is shown, and keep to it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch an open database of real people: RAVDESS (24 actors, about 13 GB) or CREMA-D (91 actors, 2.4 GB)."""
    from fer3d.data import download

    name = database.lower().replace("-", "")
    chosen = download.parse_actors(actors) if actors else None
    if licence := download.LICENCES.get(name):
        print(licence, file=sys.stderr)
        if not accept_licence and not (sys.stdin.isatty() and typer.confirm("Do you accept the licence?", err=True)):
            raise InputError("the licence is not accepted", "--accept-licence after reading it")
    _print_values(download.download(name, out, chosen, songs), as_json)


@app.command()
def prepare(
    database: Database,
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder of the prepared store.")],
    profile: ProfileName = "laptop",
    assignments: Assignments = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Find faces and landmarks in a release and cut it into ten-frame clips."""
    from fer3d import config
    from fer3d.data.preparation import prepare
    from fer3d.data.store import open_store

    chosen = _changed(config.profile(profile), assignments, "clips.")
    counts = prepare(database, root, out, chosen.clips, workers)
    _print_values(counts, as_json)
    if not as_json and (why := open_store(out).why_rejected):
        print(f"rejected, mostly: {why}; {out / 'rejected.csv'} lists all")
    if not as_json and counts["skipped"]:
        print(f"left out or noted by the reader: {counts['skipped']}; fer3d index {database} {root} says what and why")


@app.command()
def train(
    store: Annotated[list[Path], typer.Argument(help="Prepared stores; several only with --test.")],
    out: Annotated[Path, typer.Option(help="Folder of the run. An interrupted training in it is resumed.")],
    variant: Annotated[
        str | None,
        typer.Option(help="One of 2d, 3d, 3d+landmarks, r3d_18. By default 3d+landmarks, or that of --pretrained."),
    ] = None,
    fold: Annotated[int, typer.Option(min=0, help="Fold held out for the test.")] = 0,
    test: Annotated[Path | None, typer.Option(help="Store of a database held out whole, in place of a fold.")] = None,
    profile: ProfileName = "laptop",
    seed: Annotated[int | None, typer.Option(help="Seed; the profile's by default.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the clips; the profile's by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips in a step; the profile's by default.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate at its peak; the recipe's by default.")] = None,
    recipe: RecipeName = "default",
    async_workers: Annotated[int, typer.Option(min=0, help="Processes of asynchronous SGD; 0 is synchronous.")] = 0,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the network at the start.")] = False,
    device: DeviceName = "auto",
    assignments: Assignments = None,
    pretrained: Annotated[
        Path | None,
        typer.Option(
            help="Finished run to start from, with its network's settings and its clip_norm, or the shipped weights: "
            "synthetic."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train the network on all folds but one, or on whole databases, and test it on the held-out clips.

    After an interruption of any kind, the same command resumes. Two processes on one machine:

    torchrun --nproc-per-node 2 -m fer3d.cli train STORE --out RUN
    """
    from fer3d import config
    from fer3d.data.store import open_store
    from fer3d.training.run import finetuning_profile
    from fer3d.training.train import train

    options: dict[str, Any] = {"seed": seed, "epochs": epochs, "batch_size": batch_size, "lr": lr}
    options |= {"compile": compiled or None, "async_workers": async_workers or None}
    options |= {"device": device if device != "auto" else None}
    given = {name: value for name, value in options.items() if value is not None}
    chosen = config.make_profile(profile, variant or "3d+landmarks", recipe, **given)
    if pretrained:  # otherwise every setting of that network would have to be typed
        chosen = finetuning_profile(chosen, pretrained, variant)
    usable = ("training.", "network.", "folds", "published_folds", "clips.size")
    twice = [f"training.{name}" for name in given] + ["network.variant"] * bool(variant)
    chosen = _changed(chosen, assignments, *usable, given=twice)
    held_out = open_store(test) if test else None
    stores = [open_store(path) for path in store]
    metrics = train(stores, out, chosen, fold=fold, test=held_out, pretrained=pretrained)
    _print_result(metrics, as_json)


@app.command()
def pretrain(
    out: Annotated[Path, typer.Option(help="Folder of the run, for fer3d train --pretrained.")],
    variant: VariantName = "3d+landmarks",
    people: Annotated[int | None, typer.Option(min=2, help="Synthetic people; the profile's by default.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over their clips; the profile's by default.")
    ] = None,
    recipe: RecipeName = "default",
    profile: ProfileName = "laptop",
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same people.")] = None,
    assignments: Assignments = None,
    workers: Workers = None,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Render people who are in no database and train on them: weights to start from where data is scarce."""
    from fer3d import config
    from fer3d.training import pretraining

    options = {"people": people, "epochs": epochs, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    base = config.make_profile(profile, variant, recipe, device=device)
    base = base.from_params({"pretraining": given}, base)
    replaced = [f"training.{name}" for name in base.pretraining.names()]
    usable = ("pretraining.", "training.", "network.", "clips.")
    twice = [f"pretraining.{name}" for name in given] + ["training.device"] * (device != "auto")
    chosen = _changed(base, assignments, *usable, but=replaced, given=twice)
    metrics = pretraining.pretrain(out, chosen, workers)
    _print_result(metrics, as_json)


@app.command()
def evaluate(
    run: Annotated[list[Path], typer.Argument(help="Folders of runs; their predictions are pooled.")],
    store: Annotated[
        Path | None, typer.Option(help="Prepared store to test one run's network on, in place of its own test clips.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the recognition rate with its 95 % interval over subjects, UAR, majority baseline, confusion matrix."""
    from fer3d.evaluation import metrics, summary
    from fer3d.training import caveats
    from fer3d.training import run as runs

    if store is None:
        for folder in run:
            runs.check_tested(folder)
        results = metrics.evaluate(metrics.pool([metrics.read_predictions(folder) for folder in run]))
        results |= caveats.of_runs(run)
    else:
        from fer3d.data.store import open_store

        if len(run) != 1:
            raise InputError(f"{len(run)} runs can't be tested on one store", "one run with --store")
        results = caveats.evaluate_store(run[0], open_store(store))
    if as_json:
        _print_json(results)
    else:
        print(summary.evaluation_page(results))
        _print_lines(caveats.lines(results))


@app.command()
def predict(
    source: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Videos, folders of images, images, or the index of a camera (0)."),
    ],
    weights: WeightsName = "synthetic",
    out: Annotated[
        Path | None, typer.Option(help="Folder for predictions.csv, summary.json, timeline, overlay and index.html.")
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="Seconds that ten frames span; by default as in the network's training.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Seconds from window to window; by default they follow each other.")
    ] = None,
    person: Annotated[str, typer.Option(help="all, largest (one at a time) or a person's number.")] = "all",
    min_face: Annotated[
        int | None, typer.Option(min=24, help="Smallest face, pixels; by default as in training.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="haar or hog; by default as in training.")] = None,
    rotation: Annotated[str, typer.Option(help="auto, 0, 90, 180 or 270 degrees clockwise.")] = "auto",
    frame_rate: Annotated[
        float | None, typer.Option(help="Of folders of images, frames a second; by default 30.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict expressions in recordings of your own: one prediction per person for every ten frames.

    The label is a prediction of the expression that is displayed, not of what a person feels. A recording shorter than
    a window is filled up, and marked as padded. A camera is read until Ctrl-C; then all is written. With --json, each
    line is a JSON object: a row, or a recording's summary. Exit status 1 where no input shows a face, or the
    person of --person.
    """
    from fer3d import video_report
    from fer3d.own_video import Options, Weights

    if out:
        video_report.check_folder(out, source)
    options = Options(window, step, person, min_face, detector, rotation, frame_rate)
    show = partial(_while_read, bool(out), _print_line if as_json else _print_predicted)
    shown = video_report.run(source, Weights.load(weights), options, out, show)
    if out and not as_json:
        names = ", ".join(sorted({Path(name).parts[0] for name in video_report.written(out)}))
        _while_read(True, partial(print, flush=True), f"Written to {out}: {names}")
    if not shown:
        raise typer.Exit(1)


def _while_read(work_on: bool, show: Callable[[Any], object], value: Any) -> None:
    """Print a value. Where the output is no longer read (``... | head -1``), print no more; end unless ``work_on``."""
    try:
        show(value)
    except BrokenPipeError:
        _print_no_more()
        if not work_on:
            raise typer.Exit(128 + signal.SIGPIPE) from None  # as other programs; 1 would mean that no face was found


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_line(value: dict[str, Any]) -> None:
    print(json.dumps(value, allow_nan=False), flush=True)


def _print_predicted(value: dict[str, Any]) -> None:
    """A row of a prediction, a gap, or a recording's summary, in words."""
    if "people" in value:
        return print(_summary_page(value), flush=True)
    name = value["file"] + (f", person {value['person']}" if value["person"] else "")
    span = "" if value["start"] is None else f" {value['start']:.2f} to {value['end']:.2f} s"
    if "reason" in value:
        return print(f"{name}{span}: {value['reason']}", flush=True)
    padded = f" (padded: {value['padded']} of 10 frames repeat another)" if value["padded"] else ""
    print(f"{name}{span}: {value['label']} {value['p_' + value['label']]:.0%}{padded}", flush=True)


def _summary_page(summary: dict[str, Any]) -> str:
    single = " A single image: an expression's motion cannot be seen in it." if summary["kind"] == "image" else ""
    turned = f" Turned by {summary['rotation']} degrees clockwise." if summary["rotation"] else ""
    speed = f", {summary['ratio']:.1f} times real time" if summary["ratio"] else ""
    lines = [f"{summary['file']}: {summary['seconds']:.1f} s in {summary['took']:.1f} s{speed}.{single}{turned}"]
    for number, seen in summary["people"].items():
        shares = ", ".join(f"{name} {share:.0%}" for name, share in seen["share"].items())
        lines.append(f"  person {number}: {seen['verdict']} ({shares} of {seen['windows']} windows)")
    if summary["nobody"]:
        lines.append(f"  {summary['nobody']}")
    return "\n".join([*lines, summary["weights"], summary["note"]])


@app.command()
def demo(
    source: Annotated[
        list[str] | None, typer.Argument(metavar="[INPUT...]", help="Recordings of your own, as for fer3d predict.")
    ] = None,
    weights: WeightsName = "synthetic",
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("build/demo"),
) -> None:
    """Render a person who smiles, predict for this and for your own recordings, and write the page that shows it."""
    from fer3d import video_report
    from fer3d.own_video import Options, Weights
    from fer3d.workbook import demo

    video_report.check_folder(out, source or [])
    loaded = Weights.load(weights)
    rendered = demo.render_person(out / "rendered_person.avi")
    video_report.run(
        [str(rendered), *(source or [])], loaded, Options(), out, partial(_while_read, True, _print_predicted)
    )
    _while_read(True, partial(print, flush=True), f"Open {out.resolve() / 'index.html'} in a browser.")


Gpus = Annotated[str, typer.Option(help="GPUs, separated by commas: use the first that no other job has.")]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def notebook(
    context: typer.Context,
    notebook: Annotated[Path, typer.Argument(help="The notebook to execute.")],
    out: Annotated[Path, typer.Option(help="Where the executed notebook goes.")],
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for all cells together.")] = 86400,
    skip: Annotated[str, typer.Option(help="Cells with this tag are not executed.")] = "",
    gpus: Gpus = "",
) -> None:
    """Execute a notebook with parameters given as -p NAME VALUE, each checked against those it declares."""
    from fer3d.workbook.notebook import NotebookError, execute

    try:
        with _one_of(gpus):
            execute(notebook, out, _parameters(context.args), timeout, skip)
    except NotebookError as error:
        print(f"fer3d: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def _one_of(gpus: str) -> contextlib.AbstractContextManager[None]:
    """Hold the first of these GPUs that is free. Where none is named, do nothing and import nothing."""
    named = [gpu for gpu in gpus.split(",") if gpu]
    if not named:
        return contextlib.nullcontext()
    from fer3d.workbook.reproduction import one_of

    return one_of(named)


TrainedOn = Annotated[
    str, typer.Option(help="Databases to train on, separated by commas: the tested one is held out whole.")
]


@app.command("train-row")
def train_row(
    database: RowDatabase,
    model: Annotated[str, typer.Argument(help="2d, 3d, 3d+landmarks, finetuned or r3d_18.")],
    fold: Annotated[int, typer.Option(min=0, help="Fold held out for the test.")] = 0,
    trained_on: TrainedOn = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    profile: ProfileName = "tables",
    run: RunName = "",
    gpus: Gpus = "",
) -> None:
    """Train one network of a run's tables where it is missing, from the run's stores into the run's folder."""
    from fer3d import config
    from fer3d.workbook import models, pipeline

    trainable = models.of_tables(config.profile(profile), cross=False)
    if model not in trainable:
        raise InputError(f"model {model!r} cannot be trained: expected one of {', '.join(trainable)}")
    job = pipeline.Job(labels.check_database(database), model, fold, _databases(trained_on), seed)
    with _one_of(gpus):
        print(pipeline.run_job(job, profile, pipeline.run_folder(run, profile)))


@app.command()
def baselines(
    database: RowDatabase,
    folds: Annotated[str, typer.Option(help="Folds to test, separated by commas.")] = "0",
    trained_on: TrainedOn = "",
    profile: ProfileName = "tables",
    run: RunName = "",
) -> None:
    """Fit and test what needs no network, for the rows of a run's tables.

    A linear classifier on landmark motion, LBP-TOP with a linear SVM, the most frequent class.
    """
    from fer3d import paths
    from fer3d.workbook import baselines, pipeline

    if not all(fold.isdecimal() for fold in folds.split(",")):
        raise InputError(f"folds {folds!r} are not whole numbers", "--folds 0,1,2,3,4")
    folder = pipeline.run_folder(run, profile)
    tested = labels.check_database(database)
    baselines.run(tested, [int(fold) for fold in folds.split(",")], _databases(trained_on), profile, folder)
    print(paths.baselines(folder, database))


def _check_table(csv: Path, root: Path) -> None:
    """An `InputError` where ``index --csv`` would replace a file of the release, or one that is no table."""
    from fer3d import files

    files.check_suffix(csv, ".csv", "--csv")
    if csv.is_file():
        with csv.open("rb") as found:
            ours = found.read(64).startswith(b"database,subject,sequence,")  # of an earlier call
        if not ours:
            what = "a file of the release" if csv.resolve().is_relative_to(root.resolve()) else "another table"
            raise InputError(f"{csv} is {what}", "--csv with another path")


def _databases(names: str) -> tuple[str, ...]:
    return tuple(labels.check_database(name) for name in names.split(",") if name)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    onnx: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    as_json: Json = False,
) -> None:
    """Write a trained network as an ONNX file, and check that it predicts what PyTorch does."""
    from fer3d.training import export

    _print_values(export.export_onnx(run, onnx), as_json)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Folder of a run, reports/runs/<run>.")]) -> None:
    """Write a run's index.html: tables, confusion matrices and executed notebooks, readable offline."""
    from fer3d.workbook import report

    print(report.write(run))


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="Folder of a run on synthetic data, reports/runs/<run>.")],
) -> None:
    """Write what is committed of a run: reports/synthetic, and from it the README's table of results."""
    from fer3d import paths
    from fer3d.workbook import publish

    print(publish.publish(run, paths.PUBLISHED, paths.ROOT / "README.md"))


@app.command()
def reproduce(
    profile: ProfileName = "laptop",
    run: RunName = "",
    cores: Annotated[int | None, typer.Option(min=1, help="Processor cores to use; by default all.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The full grid of Tables 1 and 2.")] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="With --full: the trainings of the paper's claims with seeds 0, 1, ...")
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the jobs, their time and disk space.")] = False,
    executor: Annotated[Literal["local", "slurm"], typer.Option(help="Where jobs run.")] = "local",
    partition: Annotated[str, typer.Option(help="SLURM's partition; its default one by default.")] = "",
    account: Annotated[str, typer.Option(help="SLURM's account.")] = "",
    gpus: Annotated[int, typer.Option(min=0, help="GPUs that a training asks SLURM for.")] = 0,
    runtime: Annotated[int, typer.Option(min=0, help="Minutes that a training asks SLURM for; 0: estimated.")] = 0,
) -> None:
    """Run the whole workflow; what is up to date is kept. `make reproduce` calls this."""
    from fer3d.workbook import reproduction
    from fer3d.workers import processors

    chosen = reproduction.Cluster(partition, account, gpus, runtime) if executor == "slurm" else None
    raise typer.Exit(reproduction.run(profile, run, cores or processors(), full, dry_run, chosen, seeds))


_OWNERS = {"clips": "prepare", "pretraining": "pretrain"} | dict.fromkeys(
    ("training", "network", "folds", "published_folds"), "train"
)
"""The command that a group of settings belongs to first."""


def _changed(
    profile: "Profile",
    assignments: list[str] | None,
    *names: str,
    but: Collection[str] = (),
    given: Collection[str] = (),
) -> "Profile":
    """The profile with some of its settings changed by ``--set``.

    It can change the settings whose names begin with one of ``names``, but not those in ``but``. Those in ``given``
    have been set by options of their own, and are refused.
    """
    usable = [name for name in profile.names() if name.startswith(names) and name not in but]
    for text in assignments or ():
        name = text.partition("=")[0]
        owner = _OWNERS.get(name.partition(".")[0])
        if name in given:
            option = name.rpartition(".")[2].replace("_", "-")
            raise InputError(f"{name} is given twice", f"either --{option} or --set {text}")
        if owner and name in set(profile.names()).difference(usable, but):
            raise InputError(
                f"{name} is a setting of fer3d {owner}, not of this command", f"fer3d {owner} --set {text}"
            )
    return profile.changed(assignments or (), usable)


def _parameters(words: list[str]) -> dict[str, str]:
    """``-p NAME VALUE`` repeated, as a mapping."""
    flags, names, values = words[0::3], words[1::3], words[2::3]
    if any(flag not in ("-p", "--parameter") for flag in flags) or len(words) % 3:
        raise InputError(f"arguments {' '.join(words)!r} are not of the form -p NAME VALUE", "-p profile tiny")
    return dict(zip(names, values, strict=True))


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, allow_nan=False))


def _print_result(metrics: dict[str, Any], as_json: bool) -> None:
    """The rates of a training, printed once by the processes of torchrun together."""
    if os.environ.get("RANK", "0") == "0":
        _print_values({name: metrics[name] for name in ("n", "accuracy", "uar", "majority", "interval")}, as_json)
        if not as_json:
            from fer3d.training import caveats

            never_seen = caveats.tested(metrics, metrics.get("never_seen", ()))
            _print_lines(caveats.lines({"left_out": metrics.get("left_out"), "never_seen": never_seen}))


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        print(line)


def _print_values(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(values)
    else:
        print(", ".join(f"{name} {_short(value)}" for name, value in values.items() if not isinstance(value, dict)))


def _short(value: Any) -> str:
    """Numbers to four digits, an interval as "low to high"."""
    if isinstance(value, list):
        return (" to " if len(value) == 2 else ", ").join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_UsageError: Any = typer.BadParameter.__mro__[1]
"""The base of all errors in arguments: click's own or, in later releases of typer, its copy."""


def _wrong_argument(error: Any) -> str:
    """An error in arguments on one line; where pydantic refuses an option's value, in the words of `config`."""
    option, cause = getattr(error, "param", None), error.__cause__ or error.__context__
    if option is not None and hasattr(cause, "errors"):
        first = cause.errors()[0]
        subject, should, bound = first["msg"].partition("should")
        if subject == "Input ":  # "Input should be a valid number, unable to parse string as a number"
            return f"{option.name} = {first['input']} {should}{bound.partition(',')[0]}"
    return f"{error.format_message().replace('Value error, ', '').removesuffix('.')}. Try --help."


def _show_bars() -> None:
    """Give tqdm a size where the terminal reports none, as in ``script`` and some containers: else bars are empty."""
    with contextlib.suppress(OSError):  # no terminal: no bars
        if not all(os.get_terminal_size(2)):
            os.environ.setdefault("TQDM_NCOLS", "80")
            os.environ.setdefault("TQDM_NROWS", "24")


def main() -> None:
    """Run the command; an error that the user can correct becomes one line and an exit status."""
    if sys.stdout is None:  # closed by the caller, who wants the work done all the same
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - to the end of the process
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal's encoding lacks is no reason to stop
        sys.stdout.reconfigure(errors="backslashreplace")
    _show_bars()
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _print_no_more()
        status = 1
    except (InputError, OSError) as error:
        print(f"fer3d: {error}", file=sys.stderr)
        status = 2
    except ImportError as error:
        if not (remedy := explain_import(error)):
            raise
        print(f"fer3d: {remedy}", file=sys.stderr)
        status = 2
    except _UsageError as error:
        print(f"fer3d: {_wrong_argument(error)}", file=sys.stderr)
        status = 2
    except (KeyboardInterrupt, typer.Abort):  # Abort: Ctrl-C or Ctrl-D at a question
        status = 130
    if status == 130:
        print("fer3d: interrupted", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
