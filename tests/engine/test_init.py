"""A run that starts from another's weights: what fits is copied, said and recorded; the source is not needed again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import ganzoo as package
from ganzoo.runs import checkpoint
from ganzoo.training import initial
from ganzoo.training.trainer import Trainer
from tests.conftest import TINY

QUICK = [*TINY, "--set", "train.sample_count=4"]


def first_weights(run: str) -> dict[str, torch.Tensor]:
    """Return the weights that a run started from."""
    return load_file(Path(run, "checkpoints/step-00000000/weights.safetensors"))


def origin(run: str) -> dict:
    return json.loads(Path(run, "run.json").read_text())["init"]


@pytest.fixture
def source(trained, workplace) -> Path:
    shutil.copytree(trained, workplace / "source")
    return workplace / "source"


def test_a_run_starts_from_the_weights_of_another(ganzoo, source):
    result = ganzoo("run", "fc-mnist", *QUICK, "--seed", 5, "--steps", 3, "--init", "source", "--out", "new")
    assert result.code == 0, result.err
    assert "Initialized 8 of 8 tensors (100 % of the parameters) from source." in result.err
    expected = package.load("source").model.state_dict()
    found = first_weights("new")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not torch.equal(package.load("new").model.generator[0].weight, expected["generator.0.weight"])
    assert origin("new") == {
        "source": "source",
        "step": 40,
        "tensors": 8,
        "of": 8,
        "share": 1.0,
        "not_used": [],
    }


def test_the_source_is_not_needed_afterwards(ganzoo, source, monkeypatch):
    """A run that is killed before its first scheduled checkpoint starts over from the copied weights."""
    assert ganzoo("run", "fc-mnist", *QUICK, "--steps", 6, "--init", "source", "--out", "undisturbed").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train", lambda self, signals: 1 / 0)
        assert ganzoo("run", "fc-mnist", *QUICK, "--steps", 6, "--init", "source", "--out", "killed").code == 1
    shutil.rmtree(source)
    result = ganzoo("resume", "killed")
    assert result.code == 0, result.err
    ours, theirs = (Path(run, "checkpoints/step-00000006") for run in ("killed", "undisturbed"))
    for name in ("weights.safetensors", "training.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert origin("killed") == origin("undisturbed")


def test_a_run_that_had_not_yet_saved_its_first_weights_does_not_start_from_others(
    ganzoo, workplace, source, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", lambda self: 1 / 0)
        assert ganzoo("run", "fc-mnist", *QUICK, "--steps", 6, "--init", "source", "--out", "killed").code == 1
    result = ganzoo("resume", "killed")
    assert result.code == 1
    assert "ganzoo run killed/recipe.toml --init source" in result.err
    assert not (workplace / "killed/checkpoints").exists()


def test_averaged_weights_are_used_if_the_source_kept_an_average(ganzoo, workplace):
    assert ganzoo("run", "fc-mnist", *QUICK, "--steps", 5, "--set", "train.ema=0.9", "--out", "source").code == 0
    options = ["--steps", 2, "--set", "train.ema=0.9", "--init", "source", "--out", "new"]
    assert ganzoo("run", "fc-mnist", *QUICK, *options).code == 0
    name = "generator.0.weight"
    averaged = package.load("source").model.state_dict()[name]
    assert torch.equal(first_weights("new")[name], averaged)
    assert torch.equal(load_file("new/checkpoints/step-00000000/ema.safetensors")[name], averaged)
    assert not torch.equal(load_file("source/checkpoints/step-00000005/weights.safetensors")[name], averaged)


def test_other_sizes_start_from_what_fits(ganzoo, source):
    options = ["--set", "model.latent_dim=7", "--steps", 2, "--init", "source", "--out", "new"]
    result = ganzoo("run", "fc-mnist", *QUICK, *options)
    assert result.code == 0, result.err
    assert "Initialized 7 of 8 tensors (" in result.err
    assert "from source; not used: generator.0.weight." in result.err
    old, new = package.load("source").model.state_dict(), first_weights("new")
    assert [name for name in new if not torch.equal(new[name], old[name])] == ["generator.0.weight"] or new[
        "generator.0.weight"
    ].shape != old["generator.0.weight"].shape
    assert torch.equal(new["generator.2.weight"], old["generator.2.weight"])


def test_a_file_of_weights_will_do(ganzoo, source):
    result = ganzoo("run", "fc-mnist", *QUICK, "--steps", 2, "--out", "new", "--init", next_weights(source))
    assert result.code == 0, result.err
    assert origin("new")["step"] is None
    tensors = load_file(next_weights(source))
    some = {name: value for name, value in tensors.items() if name.startswith("generator.0")}
    save_file({**some, "other.weight": torch.ones(3)}, "some.safetensors")
    result = ganzoo("run", "fc-mnist", *QUICK, "--steps", 2, "--out", "some", "--init", "some.safetensors")
    assert "Initialized 2 of 8 tensors" in result.err
    assert "not used: other.weight." in result.err


def next_weights(run: Path) -> Path:
    return next(checkpoint.saved(run / "checkpoints")) / "weights.safetensors"


def refused(ganzoo, workplace, source, code: int) -> str:
    before = sorted(workplace.iterdir())
    result = ganzoo("run", "fc-mnist", *QUICK, "--steps", 2, "--out", "new", "--init", source)
    assert result.code == code, result
    assert "Traceback" not in result.err
    assert sorted(workplace.iterdir()) == before
    return result.err


def test_a_source_that_cannot_be_used_is_refused_before_anything_is_written(ganzoo, workplace, source):
    assert "--init: nowhere does not exist" in refused(ganzoo, workplace, "nowhere", 2)
    (workplace / "empty").mkdir()
    assert "it is not a run directory" in refused(ganzoo, workplace, "empty", 2)
    (workplace / "cut.safetensors").write_bytes(next_weights(source).read_bytes()[:-50])
    assert "cut.safetensors is damaged" in refused(ganzoo, workplace, "cut.safetensors", 1)
    save_file({"other.weight": torch.ones(3)}, workplace / "other.safetensors")
    error = refused(ganzoo, workplace, "other.safetensors", 2)
    assert "no weight in other.safetensors fits" in error
    assert "other.weight (3,)" in error
    assert "generator.0.weight (" in error
    tensors = load_file(next_weights(source))
    tensors["generator.0.bias"][0] = float("nan")
    save_file(tensors, workplace / "nan.safetensors")
    assert "generator.0.bias in nan.safetensors is not finite" in refused(ganzoo, workplace, "nan.safetensors", 1)
    shutil.rmtree(source / "checkpoints")
    assert "source/checkpoints is missing" in refused(ganzoo, workplace, "source", 1)


def test_a_run_without_init_has_no_first_checkpoint_and_says_so(trained):
    assert origin(trained) is None
    assert [checkpoint.step_of(path) for path in checkpoint.saved(trained / "checkpoints")] == [40, 20]


def test_the_python_api_takes_it_too(source, workplace):
    settings = {"data.split": "test", "train.sample_count": 1}
    run = package.train("fc-mnist", steps=1, batch_size=8, device="cpu", settings=settings, init=source, out="new")
    assert origin("new")["tensors"] == len(run.model.state_dict())


def test_words_about_a_few_of_many_tensors():
    done = {"tensors": 1, "of": 9, "share": 0.123456, "source": "x", "not_used": [f"w{n}" for n in range(8)]}
    assert initial.in_words(done) == (
        "Initialized 1 of 9 tensors (12.3 % of the parameters) from x; not used: w0, w1, w2, w3, w4, w5 and 2 more."
    )
