"""Unknown names: what is near is suggested, names of others lead home, and nothing far-fetched is offered."""

import re

import pytest

from ganzoo import options
from ganzoo.cli import cli
from ganzoo.errors import nearest
from ganzoo.parts import BUILTIN_COMMANDS
from ganzoo.recipes import PARTS
from ganzoo.training.settings import TrainSettings
from ganzoo.words import NAMES
from ganzoo.zoo import Zoo

TRAIN = [f"train.{option.name}" for option in options.options_of(TrainSettings)]


@pytest.mark.parametrize(
    ("typed", "known", "suggested"),
    [
        ("mnst", ["mnist", "cifar10"], "mnist"),
        ("wassertein", ["wasserstein", "hinge"], "wasserstein"),
        ("Hinge", ["wasserstein", "hinge"], "hinge"),
        ("cifar", ["mnist", "cifar10"], "cifar10"),
        ("train.batchsize", TRAIN, "train.batch_size"),
        ("train.on-colapse", TRAIN, "train.on_collapse"),
        ("model.latentdim", ["model.latent_dim", "model.width"], "model.latent_dim"),
        ("train.unrelated", TRAIN, None),
        ("train.telemetry", TRAIN, None),
        ("model.size", ["model.latent_dim", "model.width"], None),
        ("fc", ["dcgan", "sngan"], None),
        ("x", ["mnist"], None),
        ("optimizer.betas", ["optimizer.beta", "optimizer.lr"], "optimizer.beta"),
        ("data.size", ["data.sizes", "data.split"], "data.sizes"),
    ],
)
def test_only_what_is_near_is_suggested(typed, known, suggested):
    text = nearest(typed, known)
    assert re.findall(r"Did you mean '(.*)'\?", text) == ([suggested] if suggested else [])


CASES = {
    "run fc-mnist --loss lsgan": "Unknown loss 'lsgan'. Did you mean 'least-squares'?",
    "run fc-mnist --loss bce": "Did you mean 'non-saturating'?",
    "run fc-mnist --loss wgan-gp": "That is --loss wasserstein --penalty gradient-penalty.",
    "run fc-mnist --penalty wgan-gp": "Did you mean 'gradient-penalty'?",
    "run fc-mnist --lr 1e-3": "The learning rate is --set optimizer.lr=RATE",
    "run fc-mnist --learning_rate 1e-3": "The learning rate is --set optimizer.lr=RATE",
    "run fc-mnist --set train.lr=3": "The learning rate is --set optimizer.lr=RATE",
    "run fc-mnist --set train.telemetry=true": "Available: train.accumulate, ",
    "run fc-mnist --set model.nz=3": "Did you mean 'model.latent_dim'?",
    "run fc-mnist --resume": "To continue a run: ganzoo resume DIR.",
    "run fc-mnist --gpus 2": "--device cuda",
    "run fc-mnist --wandb": "TensorBoard logs are in the run directory",
    "run fc-mnist --batch 3": "The batch size is --batch-size N.",
    "run fc-mnist --batchsize 3": "Did you mean '--batch-size'?",
    "run fc-mnist --label 3": "It is an option of ganzoo sample.",
    "run fc-mnist --width 3": "Settings are --set PATH=VALUE; 'ganzoo show RECIPE' lists them.",
    "resume DIR --batch-size 3": "It is an option of ganzoo run and ganzoo bench.",
    "evaluate DIR --metric fd": "Did you mean '--metrics'?",
    "list --nonsense": "No such option '--nonsense'.\n",
    "train fc-mnist": "Unknown command 'train'. Did you mean 'run'?",
}


@pytest.mark.parametrize("typed", CASES)
def test_names_of_others_lead_home(ganzoo, typed):
    result = ganzoo(*typed.split())
    assert result.code == 2
    assert CASES[typed] in result.err


def test_the_table_leads_to_what_exists():
    zoo = Zoo()
    names = {*BUILTIN_COMMANDS, *TRAIN, *PARTS}
    for kind in ("loss", "penalty", "augmentation", "metric", "optimizer"):
        names |= set(zoo.names(kind))
    paths = [(kind, part.load()) for kind in ("data", "model", "loss") for part in zoo.parts(kind)]
    names |= {f"{kind}.{option.name}" for kind, part in paths for option in options.options_of(part)}
    flags = {flag for name in BUILTIN_COMMANDS for p in cli.get_command(None, name).params for flag in p.opts}
    for name, rows in NAMES.items():
        assert name == name.lower()
        assert "_" not in name
        for needs, sentence in rows:
            assert not needs or needs in names, name
            assert needs or sentence, name
            assert set(re.findall(r"--[a-z][a-z-]*", sentence)) <= flags, name
            for path in re.findall(r"--set ([a-z]+\.[a-z_]+)=", sentence):
                assert path in names or path.startswith(("optimizer.", "data.")), path
            for command in re.findall(r"ganzoo ([a-z]+)", sentence):
                assert command in BUILTIN_COMMANDS or f"ganzoo_{command}" in sentence, name


@pytest.mark.parametrize("name", ["2024", "true"])
@pytest.mark.parametrize("how", ["data", "setting"])
def test_a_folder_whose_name_looks_like_a_number_is_text(ganzoo, workplace, monkeypatch, name, how):
    from tests.engine.test_resume import picture

    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    for number in range(8):
        picture(workplace / name / f"{number}.png", number)
    given = ["--data", name] if how == "data" else ["--data", "folder", "--set", f"data.path={name}"]
    extra = ["--set", "data.size=16", "--batch-size", 4, "--steps", 2, "--device", "cpu", "--out", "run"]
    result = ganzoo("run", "fc-mnist", *given, *extra)
    assert result.code == 0, result.err
    assert "data folder (8)" in result.out


def test_what_is_no_text_is_still_refused(ganzoo, workplace):
    result = ganzoo("run", "fc-mnist", "--data", "folder", "--set", "data.path=[1]")
    assert (result.code, "data.path = [1]: input should be a valid string" in result.err) == (2, True)
    result = ganzoo("run", "fc-mnist", "--set", "train.device=0")
    assert (result.code, "train.device = '0'" in result.err) == (2, True)
