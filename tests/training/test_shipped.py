"""The weights that come with the package: small, found by name, refused when damaged, whole enough to train on."""

import shutil

import pytest
import torch
from dots import PROFILE, moving_dots

from fer3d import labels
from fer3d.errors import InputError
from fer3d.model.network import Network
from fer3d.training.run import (
    SHIPPED,
    load_model,
    read_config,
    read_metrics,
    read_network_settings,
    run_folder,
    start_from,
)
from fer3d.training.train import train


def test_all_weights_take_eight_megabytes_at_most_and_have_a_card() -> None:
    files = [file for name in SHIPPED for file in run_folder(name).iterdir()]
    assert sum(file.stat().st_size for file in files) <= 8e6
    for name in SHIPPED:
        card = (run_folder(name) / "README.md").read_text()
        metrics = read_metrics(name)
        assert f"{metrics['accuracy']:.1%}".replace("%", " %") in card and f"n = {metrics['n']}" in card
        assert read_config(name)["data"]["train"][0]["fingerprint"] in card
        assert ", ".join(load_model(name).network.classes) in card


def test_a_name_gives_a_network_that_predicts_in_single_precision() -> None:
    model = load_model("synthetic")
    assert model.network.classes == labels.CLASSES["people"]
    assert all(value.dtype == torch.float32 for value in model.network.parameters())
    with torch.no_grad():
        logits = model.network(torch.randn(2, 3, 10, 64, 64), torch.rand(2, 10, 66, 2) * 64)
    assert torch.isfinite(logits).all() and not torch.equal(logits[0], logits[1])


def test_a_run_in_a_folder_of_that_name_comes_first(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    assert run_folder("synthetic").is_absolute(), "a folder without a run is none"
    (tmp_path / "synthetic" / "model.json").write_text("{}")
    assert run_folder("synthetic").resolve() == tmp_path / "synthetic"
    with pytest.raises(InputError, match="incomplete"):
        load_model("synthetic")


@pytest.mark.parametrize("damage", ["cut short", "of another config"])
def test_damaged_weights_are_refused(tmp_path, damage) -> None:
    copy = shutil.copytree(run_folder("synthetic"), tmp_path / "copy")
    if damage == "cut short":
        stored = (copy / "model.safetensors").read_bytes()
        (copy / "model.safetensors").write_bytes(stored[: len(stored) // 2])
    else:
        config = (copy / "model.json").read_text()
        (copy / "model.json").write_text(config.replace('"anger"', '"angst"'))
    with pytest.raises(InputError, match=r"truncated|another run"):
        load_model(copy)


def test_a_training_starts_from_the_name(tmp_path) -> None:
    network = Network(read_network_settings("synthetic"), labels.CLASSES["ckplus"], 64)
    start_from(network, "synthetic")
    learned = load_model("synthetic").network
    assert torch.equal(network.stem[0][0].weight, learned.stem[0][0].weight)
    row = [each.classes.index("fear") for each in (network, learned)]
    assert torch.equal(network.head.linear.weight[row[0]], learned.head.linear.weight[row[1]])
    with pytest.raises(InputError, match="of another network"):
        train([moving_dots()], tmp_path / "run", PROFILE, pretrained="synthetic")
