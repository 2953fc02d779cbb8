"""The command line: its JSON contracts, and one clear line with exit status 2 for wrong input."""

import dataclasses
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import dots
import numpy as np
import pandas as pd
import pytest
import scenes
import trees
from tables import predictions

import fer3d
from fer3d import cli, config, files, labels, standins
from fer3d.errors import InputError
from fer3d.own_video import Weights
from fer3d.paths import ROOT
from fer3d.training.train import train
from fer3d.workbook import pipeline


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """The command in this process: (exit status, stdout, stderr)."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fer3d", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        printed = capsys.readouterr()
        return int(exit.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def ckplus(tmp_path: Path) -> Path:
    root = tmp_path / "CK+"
    for number, (subject, emotion) in enumerate((("S005", 3), ("S010", 7), ("S501", 7), ("S999", None))):
        trees.ckplus_sequence(root, subject, f"{number:03d}", 11, emotion)
    trees.write_text(root / "Emotion" / "S010" / "001" / "S010_001_00000011_emotion.txt", "garbage")
    return root


def finished(run: Path, clips: str) -> Path:
    """A run's predictions: eight clips, six of them right."""
    truth = ["anger", "surprise"] * 4
    predicted = [*truth[:6], "disgust", "disgust"]
    subjects = [f"{clips}{row // 2}" for row in range(8)]
    files.write_csv(run / "predictions.csv", predictions(truth, predicted, subjects, clip=clips))
    return run


def test_help_is_quick_because_nothing_heavy_is_imported(call) -> None:
    heavy = "torch cv2 dlib numpy pandas papermill pydantic"
    program = f"import sys, fer3d.cli; print([name for name in '{heavy}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    status, out, _ = call("--help")
    assert status == 0
    commands = (
        "doctor standins index prepare train pretrain evaluate predict demo notebook export report reproduce publish "
    )
    commands += "train-row baselines"
    assert all(f"  {command} " in out for command in commands.split())


@pytest.mark.parametrize(
    "words",
    [
        "",
        "paint",
        "index ckplus",
        "index ckplus /no/such/folder",
        "index ckplus {tmp} --jsno",
        "prepare ckplus {tmp}/CK+ --out {tmp}/store --profile big",
        "standins ck --out {tmp}/x",
        "train /no/such/store --out {tmp}/run",
        "train {tmp} --out {tmp}/run --variant 4d",
        "prepare ckplus {tmp}/CK+ --out {tmp}/store --set training.lr=0.1",
        "train {tmp} --out {tmp}/run --set training.lr",
        "pretrain --out {tmp}/run --set training.epochs=3",
        "evaluate /no/such/run",
        "notebook {tmp}/none.ipynb --out {tmp}/x.ipynb",
        "notebook {tmp}/none.ipynb --out {tmp}/x.ipynb --oops",
        "predict {tmp}/none.avi --weights {tmp}",
        "export {tmp} --out {tmp}/x.onnx",
        "report {tmp}",
        "publish {tmp}",
        "train-row ckplus linear",
        "train-row paint 3d",
        "baselines ckplus --folds x",
        "reproduce --profile big",
    ],
)
def test_wrong_input_is_one_clear_line_with_status_2(words: str, call, ckplus: Path) -> None:
    before = sorted(ckplus.parent.rglob("*"))
    status, out, err = call(*(word.format(tmp=ckplus.parent) for word in words.split()))
    assert (status, out) == (2, "")
    assert err.startswith("fer3d: ") and err.count("\n") == 1
    assert sorted(ckplus.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("predict own.avi --out run", "run holds model.json: expected a new or empty folder, or an earlier prediction"),
        ("predict own.avi --out store", "store holds prepared.json"),
        ("predict own.avi b.avi --out many", "many/own holds model.json"),
        ("predict own.avi --out site", "site holds index.html"),
        ("predict img --out img", "img is the input img: expected a folder for the results"),
        ("predict img/1.png --out img", "img holds the input img/1.png"),
        ("predict own.avi b.avi --out .", ". holds the input own.avi"),
        ("predict own.avi --out own.avi/x", "own.avi/x cannot be written: Not a directory; try another path"),
        ("demo --out run", "run holds model.json"),
        ("demo img --out img", "img is the input img"),
        ("pretrain --out img", "img holds 1.png: expected a new or empty folder, or a run"),
        ("pretrain --out own.avi", "own.avi cannot be written: Not a directory; try another path"),
        (
            "index ckplus CK+ --csv site/index.html",
            "--csv site/index.html does not end in .csv; try --csv site/index.csv",
        ),
        ("index ckplus CK+ --csv .", "--csv . is a folder; try --csv name.csv"),
        ("prepare table m2 --out .", "the folder . has no name; try its whole path"),
        ("export run --onnx .", "--onnx . is a folder; try --onnx name.onnx"),
        ("index table m2 --csv m2/labels.csv", "m2/labels.csv is a file of the release"),
        ("index table m2 --csv notes.csv", "notes.csv is another table; try --csv with another path"),
        ("export run --onnx run/model.json", "--onnx run/model.json does not end in .onnx; try --onnx run/model.onnx"),
    ],
)
def test_a_command_writes_into_no_folder_and_no_file_of_another_kind(
    words: str, message: str, call, ckplus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ckplus.parent)
    trees.BUILD["table"](Path("m2"))
    for name in (
        "own.avi",
        "b.avi",
        "img/1.png",
        "run/model.json",
        "store/prepared.json",
        "site/index.html",
        "notes.csv",
    ):
        files.write_text(Path(name), "mine")
    files.write_text(Path("many/own/model.json"), "mine")
    before = {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}
    status, out, err = call(*words.split())
    assert (status, out) == (2, "") and err.startswith(f"fer3d: {message}") and err.count("\n") == 1
    assert {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")} == before


def test_predict_finds_out_first_that_it_cannot_write(call, tmp_path: Path, without_rights) -> None:
    (tmp_path / "ro").mkdir(mode=0o555)
    with without_rights():
        status, out, err = call("predict", "0", "--out", tmp_path / "ro")
    assert (status, out) == (2, "")
    assert err == f"fer3d: {tmp_path / 'ro'} cannot be written: Permission denied; try another path\n"


def test_predict_lists_what_it_has_written_alone(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_text(Path("out/notes.txt"), "mine")
    cv2.imwrite("face.png", scenes.head(300, 220)[..., ::-1])
    for _ in range(2):
        status, out, _ = call("predict", "face.png", "--out", "out")
        names = "index.html, overlay.webm, predictions.csv, summary.json, timeline.csv, timeline.png, timeline.svg"
        assert status == 0 and out.splitlines()[-1].replace(".mp4", ".webm") == f"Written to out: {names}"
    assert Path("out/notes.txt").read_text() == "mine"


def test_index_replaces_its_own_table_in_a_release(call, tmp_path: Path) -> None:
    trees.BUILD["table"](tmp_path)
    for _ in range(2):
        assert call("index", "table", tmp_path, "--csv", tmp_path / "index.csv")[0] == 0


def test_help_names_what_the_settings_know(call) -> None:
    """Its texts are written out, because loading the settings would take longer than printing the help."""
    said = " ".join(call("train", "--help")[1].split())
    for names in (config.PROFILES, config.VARIANTS):
        assert f"One of {', '.join(names)}." in said
    assert all(name in said for name in config.RECIPES)
    recordings = inspect.signature(cli.standins).parameters["recordings"].default
    assert recordings == config.StandinSettings.recordings


def test_a_training_that_goes_on_keeps_the_variant_and_the_input_of_the_run(call, tmp_path: Path) -> None:
    store = dots.written(dots.moving_dots(), tmp_path / "store").path
    small = ["--profile", "tiny", "--epochs", "1", "--set", "clips.size=32", "--set", "network.width=0.0625"]
    run = ["train", store, "--fold", "0"]
    for name, *words in (
        ("plain", "--variant", "2d", *small),
        ("paper", "--recipe", "paper", *small),
        ("more", "--pretrained", tmp_path / "plain", *small[:-4], "--set", "clips.size=32"),
        ("further", "--pretrained", tmp_path / "paper", *small[:-4], "--set", "clips.size=32"),
    ):
        assert call(*run, "--out", tmp_path / name, *words)[0] == 0, name
    made = {name: files.read_json(tmp_path / name / "model.json")["profile"] for name in ("more", "further")}
    assert made["more"]["network"]["variant"] == "2d"
    assert (made["further"]["network"]["norm"], made["further"]["training"]["clip_norm"]) == ("none", "none")
    for words, said in (
        (("--recipe", "joint", "--pretrained", tmp_path / "paper"), "landmark_stream = False, the recipe True"),
        (
            ("--variant", "r3d_18", "--pretrained", "synthetic"),
            "synthetic holds the weights of 3d+landmarks, not of r3d",
        ),
    ):
        status, _, err = call(*run, "--out", tmp_path / "no", *words, "--profile", "tiny", "--set", "clips.size=32")
        assert status == 2 and said in err and not (tmp_path / "no").exists()


def test_shipped_weights_are_evaluated_on_a_store(call) -> None:
    status, out, err = call("evaluate", "synthetic")
    assert (status, out) == (2, "") and "synthetic come without predictions of their own; try --store STORE" in err


def test_set_wins_over_profile_and_recipe(call, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = []
    monkeypatch.setattr("fer3d.data.store.open_store", lambda path: path)
    metrics = dict.fromkeys(("n", "accuracy", "uar", "majority", "interval"), 0)
    monkeypatch.setattr(
        "fer3d.training.train.train", lambda _s, _out, profile, **_: profiles.append(profile) or metrics
    )
    words = ["--profile", "tiny", "--recipe", "joint", "--epochs", "3", "--seed", "5"]
    words += ["--set", "training.weight_decay=0", "--set", "network.stem_strides=[1,2,2]"]
    assert call("train", "store", "--out", "run", *words, "--set", "clips.size=96")[0] == 0
    (chosen,), tiny = profiles, config.profile("tiny")
    assert (chosen.training.epochs, chosen.training.seed, chosen.training.weight_decay) == (3, 5, 0.0)
    assert (chosen.network.landmark_stream, chosen.network.stem_strides) == (True, (1, 2, 2))
    assert chosen.clips == dataclasses.replace(tiny.clips, size=96)


def test_index_lists_what_a_reader_finds(call, ckplus: Path) -> None:
    status, out, err = call("index", "ckplus", ckplus, "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert {"database", "sequences", "labelled", "subjects", "classes", "skipped"} <= found.keys()
    assert (found["database"], found["subjects"], found["labelled"]) == ("ckplus", 3, 2)
    assert found["classes"] == {**dict.fromkeys(labels.CLASSES["ckplus"], 0), "disgust": 1, "surprise": 1}
    assert all({"what", "why"} <= entry.keys() for entry in found["skipped"]) and found["skipped"]


def test_index_fits_on_a_screen_beside_the_published_counts(call, ckplus: Path, tmp_path: Path) -> None:
    for number in range(40):
        trees.write_text(ckplus / "Emotion" / "S005" / f"9{number:02d}" / f"S005_9{number:02d}_1_emotion.txt", "?")
    status, out, _ = call("index", "ckplus", ckplus, "--csv", tmp_path / "index.csv")
    assert status == 0 and out.count("\n") < 30
    assert "sequences by emotion" in out and "surprise                 1          83" in out
    assert all(count in out for count in ("593", "123", "327", "118"))
    assert re.search(r"40  no images \(S005_900, S005_901, .*, \.\.\.\)\n +to use it: cohn-kanade-images unpacked", out)
    table = pd.read_csv(tmp_path / "index.csv", keep_default_na=False)
    found = table[table["left_out"] == ""]
    assert found["subject"].nunique() == 3 and sorted(found["label"].unique()) == ["", "disgust", "surprise"]
    assert (table["left_out"] == "no images").sum() == 40 and (table["database"] == "ckplus").all()


def test_index_frames_counts_what_decodes_and_finds_the_flaws(call, tmp_path: Path) -> None:
    trees.BUILD["table"](tmp_path)
    whole = (tmp_path / "Anna.avi").read_bytes()
    (tmp_path / "Anna.avi").write_bytes(whole[: len(whole) * 5 // 6])
    status, out, _ = call("index", "table", tmp_path, "--frames", "--csv", tmp_path / "index.csv", "--json")
    found, table = json.loads(out), pd.read_csv(tmp_path / "index.csv")
    rows = table.set_index("sequence").query("left_out.isna()")
    assert status == 0 and rows.loc["more/ben.mp4", ["frames", "seconds"]].tolist() == [3, pytest.approx(2 / 25)]
    assert rows.loc["stills", "frames"] == 2 and np.isnan(rows.loc["stills", "seconds"])
    parts = rows.loc[["Anna.avi 0.2-0.6 s", "Anna.avi 0.6- s"], "frames"]
    assert 0 < parts.iloc[0] <= 10 and parts.sum() < 25, "each line's part of the file"
    assert (found["frames"], found["seconds"]) == (rows["frames"].sum(), pytest.approx(rows["seconds"].sum(), abs=0.1))
    assert any("of 30: the file breaks off" in entry["why"] for entry in found["skipped"])


def test_evaluate_pools_runs(call, tmp_path: Path) -> None:
    runs = [finished(tmp_path / "fold0", "a"), finished(tmp_path / "fold1", "b")]
    status, out, err = call("evaluate", *runs, "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert {"n", "accuracy", "uar", "majority", "interval", "labels", "confusion"} <= found.keys()
    assert (found["n"], found["accuracy"], found["majority"]) == (16, 0.75, 0.5)
    assert found["interval"][0] <= 0.75 <= found["interval"][1]
    assert found["labels"] == list(labels.CLASSES["ckplus"]) and np.sum(found["confusion"]) == 16
    status, out, _ = call("evaluate", *runs)
    assert status == 0 and "accuracy 75.0%" in out and "n = 16" in out
    assert "  anger              6         0         2         0         0         0         0" in out.splitlines()


def test_doctor_accepts_this_machine(call, monkeypatch: pytest.MonkeyPatch) -> None:
    from fer3d.workbook import doctor

    monkeypatch.setattr(doctor, "MIN_FREE_GB", 0)  # how full the disk is says nothing about the program
    status, out, _ = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)}
    assert status == 0 and all(check["ok"] for check in checks.values()), checks
    assert set(checks) == {"python", "packages", "detectors", "torch", "kernel", "disk", "cores"}


def test_doctor_names_what_fails(call, monkeypatch: pytest.MonkeyPatch) -> None:
    from fer3d.data import faces
    from fer3d.workbook import doctor

    monkeypatch.setattr(doctor, "MIN_FREE_GB", 10**9)
    monkeypatch.delattr(faces, "FaceTracker")
    status, out, _ = call("doctor")
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert status == 1
    assert "[OK] python" in lines and "[FAIL] detectors" in lines and "[FAIL] disk" in lines


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_quiet(unbuffered: str, ckplus: Path) -> None:
    command = f"'{sys.executable}' -m fer3d.cli index ckplus '{ckplus}' --json | true"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    assert subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment).stderr == ""


@pytest.mark.parametrize("how", ["", "--out out", "--out out --json"])
def test_where_nobody_reads_on_a_prediction_that_is_written_goes_on(how: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "face.png"), scenes.head(300, 220)[..., ::-1])
    command = f"'{sys.executable}' -m fer3d.cli predict face.png face.png {how} | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0 if how else 141, "")
    written = {path.name for path in (tmp_path / "out").glob("*")}
    assert not how or written == {"1-face", "2-face", "index.html", "predictions.csv", "summary.json"}


def test_an_interrupt_is_one_line_and_status_130(write_notebook: Callable[..., Path], tmp_path: Path) -> None:
    began = tmp_path / "began"
    slow = write_notebook("slow.ipynb", f"open({str(began)!r}, 'w').close()", "import time; time.sleep(99)")
    command = [sys.executable, "-m", "fer3d.cli", "notebook", str(slow), "--out", str(tmp_path / "out.ipynb")]

    def heed_interrupts() -> None:  # a shell's background job inherits that they are ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as running:
        while not began.exists():
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, printed = running.communicate(timeout=30)
    assert (running.returncode, printed) == (130, "fer3d: interrupted\n")
    assert not (tmp_path / "out.ipynb").exists()


def test_a_notebook_takes_named_parameters(call, write_notebook: Callable[..., Path], tmp_path: Path) -> None:
    lesson = write_notebook("lesson.ipynb", "print(profile, epochs)")
    status, out, _ = call(
        "notebook", lesson, "--out", tmp_path / "a.ipynb", "-p", "profile", "laptop", "-p", "epochs", "-3"
    )
    assert (status, out) == (0, "")
    assert '"laptop -3\\n"' in (tmp_path / "a.ipynb").read_text()
    status, _, err = call("notebook", lesson, "--out", tmp_path / "b.ipynb", "-p", "epoch", "5")
    assert status == 2 and "epochs: int" in err and not (tmp_path / "b.ipynb").exists()
    failing = write_notebook("failing.ipynb", "1 / 0")
    status, _, err = call("notebook", failing, "--out", tmp_path / "c.ipynb")
    assert status == 1 and "ZeroDivisionError: division by zero" in err and err.count("\n") == 1


def test_two_tables_of_ones_own_against_each_other(call, tmp_path: Path) -> None:
    """One is learned, the other tested: at once, or later by ``fer3d evaluate``; both predict the same."""
    seen, others = (dots.moving_dots("table", seed=seed, names=("bored", "fear")) for seed in (0, 1))
    others.manifest["subject"] = "other " + others.manifest["subject"]
    own, other = dots.written(seen, tmp_path / "own"), dots.written(others, tmp_path / "other")
    profile = dots.with_training(epochs=1)
    figures = train([own], tmp_path / "run", profile, test=other)
    assert (figures["n"], figures["train_clips"], figures["labels"]) == (36, 36, ["fear", "bored"])
    status, out, _ = call("evaluate", tmp_path / "run", "--store", other.path, "--json")
    assert status == 0
    later = json.loads(out)
    assert later["confusion"] == figures["confusion"] and not later["trained_on"] and later["trained_on_database"]
    assert "a test only if no person is in both" in call("evaluate", tmp_path / "run", "--store", other.path)[1]
    with pytest.raises(InputError, match="subjects in both training and test: table/S000"):
        train([own], tmp_path / "same", profile, test=own)


def test_version_and_short_help(call) -> None:
    assert call("--version")[:2] == (0, f"fer3d {fer3d.__version__}\n")
    assert call("-h") == call("--help") and call("train", "-h") == call("train", "--help")


MAKERS = "fer3d train or fer3d pretrain --out nothere, which make one"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("train s --out r --epochs -1", "epochs = -1 should be greater than or equal to 1"),
        ("train s --out r --lr -1", "lr = -1.0 should be greater than 0"),
        ("predict x.mp4 --window abc", "window = abc should be a valid number"),
        ("train s --out r --oops", "No such option: --oops. Try --help."),
        ("train", "Missing argument 'store'. Try --help."),
        (
            "train s --out r --set clips.margin=0.2",
            "clips.margin is a setting of fer3d prepare, not of this command; try fer3d prepare --set clips.margin=0.2",
        ),
        ("train s --out r --set clips.sise=64", "there is no setting 'clips.sise' here; try clips.size"),
        ("pretrain --out r --set training.lr=1", "there is no setting 'training.lr' here; try pretraining.lr"),
        (
            "train s --out r --batch-size 4 --set training.batch_size=8",
            "training.batch_size is given twice; try either --batch-size or --set training.batch_size=8",
        ),
        (
            "train s --out r --device cpu --set training.device=cuda",
            "training.device is given twice; try either --device or --set training.device=cuda",
        ),
        (
            "train s --out r --variant 2d --set network.variant=3d",
            "network.variant is given twice; try either --variant or --set network.variant=3d",
        ),
        (
            "pretrain --out r --people 4 --set pretraining.people=8",
            "pretraining.people is given twice; try either --people or --set pretraining.people=8",
        ),
        *(
            (words, f"nothere has no model.json: expected the folder of a run; try {MAKERS}")
            for words in ("export nothere --onnx x.onnx", "train s --out r --pretrained nothere")
        ),
    ],
)
def test_wrong_input_names_the_value_and_the_remedy(words: str, line: str, call) -> None:
    assert call(*words.split()) == (2, "", f"fer3d: {line}\n")


def test_a_command_offers_only_the_databases_that_it_takes(call) -> None:
    assert "table" not in call("standins", "--help")[1]
    assert "also table where FER3D_TABLE names" in " ".join(call("baselines", "--help")[1].split())
    assert "cremad, table" in " ".join(call("prepare", "--help")[1].split())


def test_prepare_says_why_most_clips_are_left_out(call, tmp_path: Path) -> None:
    for number, picture in enumerate(scenes.walk(10)):
        trees.write_image(tmp_path / "release" / "anna" / f"{number}.png", picture=picture)
        for other, empty in (("ben", scenes.COFFEE), ("cleo", scenes.CAT)):
            trees.write_image(tmp_path / "release" / other / f"{number}.png", picture=empty)
    lines = ("path,label,subject", "anna,joy,anna", "ben,sad,ben", "cleo,sad,cleo", "nowhere,sad,dora")
    trees.write_text(tmp_path / "release" / "labels.csv", "\n".join(lines))
    words = ("prepare", "table", tmp_path / "release", "--out", tmp_path / "store", "--profile", "tiny")
    status, out, _ = call(*words, "--workers", 1)
    figures, why, skipped = out.splitlines()
    assert status == 0 and "clips 1, padded 0, rejected 2, skipped 1" in figures
    assert skipped.startswith("left out or noted by the reader: 1; fer3d index table ")
    assert re.fullmatch(r"rejected, mostly: no face.* \(2 of 2\); .*/store/rejected\.csv lists all", why)
    assert "mostly" not in call(*words, "--json")[1]


def test_bars_are_shown_on_a_terminal_that_tells_no_size(tmp_path: Path) -> None:
    """As `script` and some containers open one: tqdm would print an empty line."""
    dots.written(dots.moving_dots("table", names=("fear", "anger")), tmp_path / "store")
    ours, theirs = os.openpty()
    words = f"train {tmp_path}/store --out {tmp_path}/run --profile tiny --epochs 1 --set clips.size=32".split()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "fer3d.cli", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = os.read(ours, 2**16).decode()
    os.close(ours)
    assert done.returncode == 0 and "train" in shown and "step" in shown


def test_what_was_not_learned_is_said(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes that were tested without a training clip, and clips left out of a test across databases."""
    monkeypatch.setattr(config, "PROFILES", {"laptop": dots.with_training(epochs=1)})
    mine = dots.moving_dots("table", names=("fear", "anger"))
    others = dots.moving_dots("table", seed=1, names=("fear", "anger", "bored"))
    others.manifest["subject"] = "other " + others.manifest["subject"]
    counts = others.manifest["label"].value_counts()
    for name, made in (("mine", mine), ("others", others)):
        dots.written(made, tmp_path / name)
    status, out, _ = call("train", tmp_path / "mine", "--test", tmp_path / "others", "--out", tmp_path / "cross")
    said = f"left out, since the network has not learned their class: {counts['bored']} bored"
    assert status == 0 and said in out.splitlines()
    assert said in call("evaluate", tmp_path / "cross")[1].splitlines()
    assert json.loads(call("evaluate", tmp_path / "cross", "--json")[1])["left_out"] == {"bored": counts["bored"]}

    tested = mine.manifest["subject"].isin(sorted(mine.manifest["subject"].unique())[:3])
    mine.manifest["label"] = np.where(tested, "anger", "fear")
    mine.manifest["fold"] = (~tested).astype(int)
    folds = mine.manifest.groupby("subject")["fold"].first().to_dict()
    store = dots.written(mine, tmp_path / "apart")
    files.write_json(store.path / "prepared.json", store.metadata | {"folds": folds})
    said = f"tested, but in no training clip: {tested.sum()} anger"
    assert said in call("train", tmp_path / "apart", "--out", tmp_path / "fold")[1].splitlines()
    assert said in call("evaluate", tmp_path / "fold")[1].splitlines()
    out = call("evaluate", tmp_path / "fold", "--store", tmp_path / "others")[1]
    assert f"tested, but in no training clip: {counts['anger']} anger" in out.splitlines()
    assert call("evaluate", finished(tmp_path / "bare", "a"))[0] == 0, "predictions alone"


def test_evaluate_says_that_a_training_is_not_finished(call, tmp_path: Path) -> None:
    files.write_json(tmp_path / "run" / "model.json", {})
    told = "does not exist: the training has not finished; try its command again, which resumes\n"
    assert call("evaluate", tmp_path / "run") == (2, "", f"fer3d: {tmp_path}/run/predictions.csv {told}")


def test_data_of_a_stand_in_are_marked(call, ckplus: Path, tmp_path: Path) -> None:
    assert "(synthetic)" not in call("index", "ckplus", ckplus)[1]
    files.write_json(standins.truth_folder(ckplus) / "plan.json", {})
    assert call("index", "ckplus", ckplus)[1].startswith("CK+ (synthetic) ")
    store = dots.written(dots.moving_dots("ckplus"), tmp_path / "store", synthetic=True)
    train([store], tmp_path / "run", dots.with_training(epochs=1))
    assert Weights.load(tmp_path / "run").trained_on == "CK+ (synthetic)"
    for words in ((), ("--store", store.path)):
        assert "These data are not of real people: CK+ (synthetic)." in call("evaluate", tmp_path / "run", *words)[1]


@pytest.mark.slow
def test_from_a_release_to_figures(call, tmp_path: Path) -> None:
    release = pipeline.release("ckplus", "tiny")  # which the notebooks use too
    store, run = tmp_path / "store", tmp_path / "run"
    status, out, _ = call("index", "ckplus", release, "--json")
    labelled = json.loads(out)["labelled"]
    status, out, err = call("prepare", "ckplus", release, "--out", store, "--profile", "tiny", "--json")
    prepared = json.loads(out)
    assert (status, err) == (0, "")
    assert {"clips", "padded", "rejected", "frames", "seconds"} <= prepared.keys()
    assert prepared["clips"] + prepared["rejected"] == labelled

    training = ("train", store, "--out", run, "--variant", "3d", "--profile", "tiny", "--epochs", 2, "--json")
    status, out, err = call(*training)
    trained = json.loads(out)
    assert status == 0
    status, out, err = call("evaluate", run, "--json")
    assert (status, err) == (0, "") and json.loads(out).items() >= trained.items()
    before = (run / "metrics.json").stat().st_mtime_ns
    assert call(*training)[0] == 0 and (run / "metrics.json").stat().st_mtime_ns == before, "trained only once"

    status, out, err = call("evaluate", run, "--store", store, "--json")
    whole = json.loads(out)
    assert (status, err, whole["left_out"], whole["trained_on"]) == (0, "", {}, True)
    assert whole["n"] == prepared["clips"] > trained["n"]
    status, out, err = call("evaluate", run, run, "--store", store)
    assert (status, out) == (2, "") and "one run with --store" in err

    video = tmp_path / "own.avi"
    frames = [cv2.imread(str(image)) for image in sorted((release / "cohn-kanade-images").rglob("*.png"))[:12]]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 25, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    status, out, err = call("predict", video, "--weights", run, "--json")
    row, summary = map(json.loads, out.splitlines())
    assert (status, err) == (0, "") and row["first_frame"] == 0 and row["label"] in labels.CLASSES["ckplus"]
    assert sum(row[f"p_{name}"] for name in labels.CLASSES["ckplus"]) == pytest.approx(1, abs=1e-3)
    assert list(summary["people"]) == ["1"] and "not of what a person feels" in summary["note"]
    status, out, err = call("predict", video, "--weights", run, "--min-face", 2000)
    assert status == 1 and "no face of 2000 pixels or more was found" in out
    status, out, err = call("predict", release / "Emotion", "--weights", run)
    assert (status, out) == (2, "") and err.count("\n") == 1

    for wrong, message in (
        (("--profile", "tiny", "--epochs", 2, "--seed", 1), "another run"),
        (("--profile", "paper"), "64 pixels"),
        (("--profile", "tiny", "--fold", 7), "fold 7"),
        (("--profile", "tiny", "--epochs", 2, "--test", store), "other databases"),
    ):
        status, out, err = call("train", store, "--out", run, "--variant", "3d", *wrong)
        assert (status, out) == (2, "") and message in err and err.count("\n") == 1
    assert (run / "metrics.json").stat().st_mtime_ns == before
