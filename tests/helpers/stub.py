"""In the place of fer3d/cli.py: each command writes what the workflow looks at, at once, and says what it was given."""

import json
import sys
from pathlib import Path

command, *words = sys.argv[1:]


def option(name: str) -> str:
    return words[words.index(name) + 1]


def write(path: Path, **content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"made by": words, **content}))


if command == "standins":
    out = Path(option("--out"))
    write(out.with_name(f"{out.name}.truth") / "plan.json")
elif command == "prepare":
    read = sorted(file.read_text() for file in Path(words[1]).rglob("*.txt"))
    write(Path(option("--out")) / "prepared.json", read=read)
elif command == "notebook":
    out = Path(option("--out"))
    if out.name == "04_training.ipynb":
        for name in ("model.json", "model.safetensors", "log.csv", "predictions.csv", "metrics.json"):
            write(out.with_name(name))
    write(out)
elif command == "train-row":
    split = f"fold{option('--fold')}" if "--fold" in words else "cross"
    seed = option("--seed")
    folder = Path("runs", option("--run"), words[0], words[1], split if seed == "0" else f"{split}-seed{seed}")
    for name in ("model.json", "model.safetensors", "log.csv", "predictions.csv", "metrics.json"):
        write(folder / name)
elif command == "baselines":
    folder = Path("runs", option("--run"), words[0])
    for model in ("linear", "lbp_top", "majority"):
        for split in (*(f"fold{fold}" for fold in option("--folds").split(",")), "cross"):
            for name in ("model.json", "predictions.csv", "metrics.json"):
                write(folder / model / split / name)
    write(folder / "baselines.json")
elif command == "report":
    write(Path(words[0]) / "index.html")
