"""What a resume refuses, what it allows, and what it records."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_mnist.data import MNIST
from PIL import Image

import ganzoo as package
from ganzoo import TensorDataset
from ganzoo.runs import checkpoint
from ganzoo.training.players import check_optimizers
from ganzoo.zoo import Zoo
from tests import toys
from tests.conftest import TINY


def content(folder: Path) -> dict[str, bytes]:
    """Return everything in a folder: name -> bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def status(run: str) -> dict:
    return json.loads(Path(run, "run.json").read_text())


# --- checkpoints that are gone ---------------------------------------------------------------------------------------


@pytest.fixture
def run(ganzoo, workplace):
    """A run of 30 steps with checkpoints at 10, 20 and 30."""
    every = ["--checkpoint-every", 10, "--set", "train.log_every=10"]
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 30, *every, "--out", "run").code == 0
    return workplace / "run"


def lose(run: Path, how: str) -> None:
    checkpoints = run / "checkpoints"
    match how:
        case "removed":
            shutil.rmtree(checkpoints)
        case "emptied":
            shutil.rmtree(checkpoints)
            checkpoints.mkdir()
        case "behind a dangling link":
            shutil.rmtree(checkpoints)
            checkpoints.symlink_to("/mnt/not-mounted/checkpoints")
        case "each behind a dangling link":
            for path in list(checkpoints.iterdir()):
                shutil.rmtree(path)
                path.symlink_to(f"/mnt/not-mounted/{path.name}")
        case "a file":
            shutil.rmtree(checkpoints)
            checkpoints.write_text("")


LOST = ("removed", "emptied", "behind a dangling link", "each behind a dangling link", "a file")


@pytest.mark.parametrize("status", ["kept", "truncated"])
@pytest.mark.parametrize("how", LOST)
def test_a_run_whose_checkpoints_are_gone_is_refused_and_kept(ganzoo, run, how, status):
    lose(run, how)
    if status == "truncated":
        (run / "run.json").write_text("{")
    before = content(run)
    for command in (["resume", "run", "--steps", 40], ["sample", "run"]):
        result = ganzoo(*command)
        assert result.code == 1, result
        assert "Traceback" not in result.err
        assert "ganzoo run run/recipe.toml" in result.err or "No checkpoint of run is valid" in result.err
    assert content(run) == before
    if "dangling" in how:
        assert "not-mounted" in result.err or "step-00000030" in result.err


def test_the_message_says_what_was_saved_and_what_to_do(ganzoo, run):
    lose(run, "removed")
    error = ganzoo("resume", "run", "--steps", 40).err
    assert "run/checkpoints is missing, but the run had saved one at step 30. Nothing was changed." in error


def test_a_run_that_never_saved_starts_over(ganzoo, run):
    shutil.rmtree(run / "checkpoints")
    status = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**status, "saved": None, "state": "running"}))
    result = ganzoo("resume", "run", "--steps", 20)
    assert result.code == 0, result.err
    assert json.loads((run / "run.json").read_text())["saved"] == 20


def test_a_run_without_status_that_was_killed_before_its_first_checkpoint_starts_over(ganzoo, run):
    shutil.rmtree(run / "checkpoints")
    (run / "run.json").unlink()
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:1]))  # the tick of step 10, whose checkpoint was not yet written
    for picture in (run / "samples").glob("*-00000030.png"):
        picture.unlink()
    assert ganzoo("resume", "run", "--steps", 20).code == 0


def test_a_dangling_newest_checkpoint_is_skipped_with_a_warning(ganzoo, run):
    newest = run / "checkpoints/step-00000030"
    shutil.rmtree(newest)
    newest.symlink_to("/mnt/not-mounted/step-00000030")
    result = ganzoo("resume", "run", "--steps", 40)
    assert result.code == 0, result.err
    assert "Using the previous one." in result.err
    assert "from step 20" in result.out
    assert not newest.is_symlink()


# --- datasets that changed -------------------------------------------------------------------------------------------


def picture(path: Path, seed: int, color: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3) if color else (16, 16), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pictures(ganzoo, workplace, monkeypatch):
    """A run of 4 steps on a folder of two classes of 12 gray pictures each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    for number in range(24):
        picture(workplace / "zoo" / ("ape", "bee")[number % 2] / f"{number:02d}.png", number)
    options = ["--data", "folder", "--set", "data.path=zoo", "--set", "data.size=16", "--device", "cpu"]
    result = ganzoo("run", "fc-mnist", *options, "--batch-size", 8, "--steps", 4, "--out", "run")
    assert result.code == 0, result.err
    return workplace / "zoo"


def alter(zoo: Path, how: str) -> None:
    match how:
        case "a picture added":
            picture(zoo / "ape/99.png", 99)
        case "a picture removed":
            (zoo / "ape/00.png").unlink()
        case "a picture replaced":
            picture(zoo / "ape/00.png", 99)
        case "two pictures exchanged":
            (zoo / "ape/00.png").rename(zoo / "x")
            (zoo / "ape/02.png").rename(zoo / "ape/00.png")
            (zoo / "x").rename(zoo / "ape/02.png")
        case "a class renamed":
            (zoo / "ape").rename(zoo / "cow")
        case "a class added":
            picture(zoo / "cow/99.png", 99)
        case "a picture in color":
            picture(zoo / "ape/99.png", 99, color=True)


ALTERED = {
    "a picture added": "it has 25 examples instead of 24",
    "a picture removed": "it has 23 examples instead of 24",
    "a picture replaced": "as many examples as before, but their content differs",
    "two pictures exchanged": "as many examples as before, but their content differs",
    "a class renamed": "the classes of 'label' are bee, cow instead of ape, bee",
    "a class added": "'label' is int64 () of 3 classes instead of int64 () of 2 classes",
    "a picture in color": "'image' is float32 (3, 16, 16) instead of float32 (1, 16, 16)",
}


@pytest.mark.parametrize("how", ALTERED)
def test_a_changed_dataset_is_refused_in_words(ganzoo, workplace, pictures, how):
    alter(pictures, how)
    before = content(workplace / "run")
    result = ganzoo("resume", "run", "--steps", 6)
    assert result.code == 2, result
    assert ALTERED[how] in result.err
    assert "--init DIR" in result.err
    assert content(workplace / "run") == before
    other_networks = how in ("a class added", "a picture in color")
    assert ("--accept-new-data" in result.err) != other_networks
    result = ganzoo("resume", "run", "--steps", 6, "--accept-new-data")
    assert result.code == (2 if other_networks else 0), result.err
    if not other_networks:
        assert "From step 4 on, another dataset" in result.err
        (change,) = (c for c in status("run")["changes"] if c["setting"] == "data")
        assert change["step"] == 4
        assert change["from"]["fingerprint"] != change["to"]["fingerprint"]
        assert ganzoo("resume", "run", "--steps", 8).code == 0  # this is its dataset now


def test_a_dataset_that_became_smaller_than_a_batch_is_refused_in_the_same_words(ganzoo, workplace, pictures):
    for path in list(pictures.glob("*/*.png"))[2:]:
        path.unlink()
    assert "it has 2 examples instead of 24" in ganzoo("resume", "run", "--steps", 6).err
    assert "train.batch_size = 8" in ganzoo("resume", "run", "--steps", 6, "--accept-new-data").err


def test_an_accepted_dataset_stays_accepted_if_the_run_is_killed_before_its_next_checkpoint(
    ganzoo, workplace, pictures, monkeypatch
):
    from ganzoo.training.trainer import Trainer

    alter(pictures, "a picture added")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train", lambda self, signals: 1 / 0)
        ganzoo("resume", "run", "--steps", 6, "--accept-new-data", "--set", "optimizer.lr=0.125")
    result = ganzoo("resume", "run")
    assert result.code == 0, result.err
    assert {change["setting"] for change in status("run")["changes"]} == {"data", "optimizer.lr", "train.steps"}


def test_a_dataset_that_was_moved_is_found_by_its_new_path(ganzoo, workplace, pictures):
    pictures.rename(workplace / "elsewhere")
    result = ganzoo("resume", "run", "--steps", 6)
    assert result.code == 2
    assert "there is no folder" in result.err
    assert "ganzoo resume run --set data.path=FOLDER" in result.err
    result = ganzoo(
        "resume", "run", "--steps", 6, "--set", "data.path=elsewhere", "--set", f"data.cache={workplace / 'other'}"
    )
    assert result.code == 0, result.err
    assert ganzoo("resume", "run", "--steps", 8).code == 0
    paths = [change for change in status("run")["changes"] if change["setting"].startswith("data.")]
    assert {change["setting"]: change["to"] for change in paths} == {
        "data.path": "elsewhere",
        "data.cache": str(workplace / "other"),
    }


def test_a_run_that_moved_its_dataset_equals_one_that_did_not(ganzoo, workplace, pictures):
    shutil.copytree("run", "stayed")
    assert ganzoo("resume", "stayed", "--steps", 8).code == 0
    pictures.rename(workplace / "elsewhere")
    assert ganzoo("resume", "run", "--steps", 8, "--set", "data.path=elsewhere").code == 0
    ours, theirs = (content(workplace / run / "checkpoints/step-00000008") for run in ("run", "stayed"))
    for name in ("weights.safetensors", "training.safetensors"):
        assert ours[name] == theirs[name]


def test_the_fingerprint_of_a_dataset_is_that_of_its_content(workplace):
    def of(image, **more):
        return TensorDataset({"image": image, **more}).fingerprint()

    image = torch.arange(2 * 1 * 4 * 4, dtype=torch.uint8).view(2, 1, 4, 4)
    other = image.clone()
    other[1, 0, 3, 3] += 1
    label = torch.tensor([0, 1])
    assert of(image) == of(image.clone()) == of(image.contiguous(memory_format=torch.channels_last))
    prints = [of(image), of(other), of(image.flip(0)), of(image.float()), of(image, label=label), of(image[:1])]
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_of_the_training_digits_takes_less_than_a_tenth_of_a_second():
    dataset, seconds = MNIST(), []
    for _ in range(5):
        start = time.perf_counter()
        dataset.fingerprint()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


# --- settings that may change ----------------------------------------------------------------------------------------


def test_a_setting_that_may_change_is_changed_and_recorded(ganzoo, run):
    changes = ["--set", "optimizer.lr=0.125", "--set", "optimizer.discriminator.clip=1.5", "--set", "train.log_every=4"]
    result = ganzoo("resume", "run", "--steps", 34, *changes)
    assert result.code == 0, result.err
    assert "From step 30 on: optimizer.lr = 0.125 instead of 0.0003." in result.err
    recorded = {change["setting"]: change for change in status("run")["changes"]}
    assert recorded.keys() == {"optimizer.lr", "optimizer.discriminator.clip", "train.log_every", "train.steps"}
    assert recorded["optimizer.lr"] == {"step": 30, "setting": "optimizer.lr", "from": 0.0003, "to": 0.125}
    recipe = package.load("run").recipe
    assert recipe.optimizer["generator"]["lr"] == recipe.optimizer["discriminator"]["lr"] == 0.125
    assert [line["step"] for line in package.load("run").metrics()][-1] == 34
    newest = checkpoint.load(run / "checkpoints/step-00000034")
    groups = checkpoint.unpack(newest.training, newest.rest["structure"])["optimizer.generator"]["param_groups"]
    assert groups[0]["lr"] == 0.125
    assert ganzoo("resume", "run", "--steps", 36, "--set", "optimizer.lr=0.25").code == 0
    assert [c["to"] for c in status("run")["changes"] if c["setting"] == "optimizer.lr"] == [0.125, 0.25]


def test_changes_after_the_checkpoint_that_a_run_returns_to_are_forgotten(ganzoo, run):
    assert ganzoo("resume", "run", "--steps", 40, "--set", "optimizer.lr=0.125").code == 0
    (run / "checkpoints/step-00000040/state.json").write_text("{}")
    (run / "checkpoints/step-00000030/state.json").write_text("{}")
    assert ganzoo("resume", "run").code == 0
    assert [c["step"] for c in status("run")["changes"] if c["setting"] == "optimizer.lr"] == [20]


@pytest.mark.parametrize(
    "setting",
    [
        "model.latent_dim=7",
        "data.split=train",
        "data.name=ring8",
        "loss.name=hinge",
        "penalties.r1.weight=3",
        "optimizer.name=sgd",
        "optimizer.betas=[0.1, 0.2]",
        "train.batch_size=8",
        "train.seed=4",
        "train.ema=0.9",
        "augmentations.ada.target=0.5",
    ],
)
def test_other_settings_are_refused_with_what_to_do(ganzoo, run, setting):
    before = content(run)
    result = ganzoo("resume", "run", "--steps", 34, "--set", setting)
    assert result.code == 2
    path = setting.partition("=")[0]
    assert f"{path} cannot change in a run." in result.err
    assert f"ganzoo run run/recipe.toml --init run --set {path}=VALUE" in result.err
    assert content(run) == before


def test_the_present_value_is_no_change(ganzoo, run):
    assert ganzoo("resume", "run", "--steps", 34, "--set", "train.seed=0", "--set", "data.split=test").code == 0


def test_the_rate_of_players_with_other_optimizers_changes_too():
    tables = {"generator": {"name": "rmsprop", "lr": 1e-3}, "discriminator": {"name": "adam", "lr": 1e-3}}
    zoo = Zoo()
    recipe = replace(zoo.recipe("fc-mnist"), optimizer=tables).with_setting("optimizer.lr", 0.5)
    checked = check_optimizers(zoo, recipe.optimizer, ["generator", "discriminator"])
    assert {player: (found.part.name, found.part.options["lr"]) for player, found in checked.items()} == {
        "generator": ("rmsprop", 0.5),
        "discriminator": ("adam", 0.5),
    }


def test_a_checkpoint_without_facts_about_the_dataset_is_resumed(ganzoo, run):
    """Checkpoints had only some of the settings, and the fields, before runs knew their data."""
    path = run / "checkpoints/step-00000030"
    saved = checkpoint.load(path)
    for key in ("data", "changes", "init"):
        del saved.rest[key]
    saved.rest["settings"]["train"] = {key: saved.rest["settings"]["train"][key] for key in ("batch_size", "seed")}
    checkpoint.save(path.parent, saved, keep=3)
    assert ganzoo("resume", "run", "--steps", 34, "--set", "optimizer.lr=0.125").code == 0
    assert [change["setting"] for change in status("run")["changes"]] == ["optimizer.lr"]
    assert checkpoint.load(run / "checkpoints/step-00000034").rest["data"]["examples"] == 10_000


@pytest.mark.parametrize("how", ["replaced", "added"])
def test_a_penalty_that_was_changed_by_hand_is_refused(toy_zoo, tmp_path, how):
    recipe = toys.recipe(penalties={"shrink": {"weight": 0.5}})
    stopped = package.train(recipe, steps=2, out=tmp_path / "run", zoo=toy_zoo)
    file = stopped.directory / "recipe.toml"
    text = file.read_text()
    head, tail = text.partition("[toy.penalties.shrink]")[::2]
    own = tail.partition("\n\n")[0] if how == "replaced" else ""
    file.write_text(
        f"{head}[toy.penalties.nothing]\n\n" + (tail[len(own) :] if own else f"[toy.penalties.shrink]{tail}")
    )
    path = {"replaced": "penalties.shrink", "added": "penalties.nothing"}[how]
    with pytest.raises(package.UsageError, match=f"The run was trained with {path}"):
        package.resume(stopped.directory, steps=4, zoo=toy_zoo)
    file.write_text(text)
    package.resume(stopped.directory, steps=4, zoo=toy_zoo)
