"""Evaluations: reproducible, recorded with everything needed to reproduce them, and without effect on a training."""

import hashlib
import json
import shutil
import socket

import pytest
import torch

import ganzoo as package
from ganzoo.runs import checkpoint, records
from tests.conftest import TINY

QUICK = {"batch_size": 16, "device": "cpu", "settings": {"data.split": "test", "train.sample_count": 4}}
QUICK["settings"]["train.log_every"] = 10


@pytest.fixture
def unplugged(monkeypatch, tmp_path):
    """No network, and no earlier downloads."""

    def refuse(*arguments):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def values(found):
    return {record["metric"]: record["value"] for record in found}


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(trained, unplugged):
    def measured(run, seed):
        settings = {"kd.subsets": 5, "kd.subset_size": 400}
        return values(run.evaluate(["fd-mnist", "kd-mnist", "prdc-raw"], n=500, seed=seed, settings=settings))

    run = package.load(trained)
    one, two, other = (measured(run, seed) for seed in (3, 3, 4))
    assert one.keys() == {"fd-mnist", "kd-mnist", "precision-raw", "recall-raw", "density-raw", "coverage-raw"}
    assert one == two == measured(package.load(trained), 3)
    assert one["fd-mnist"] != other["fd-mnist"]
    assert one["kd-mnist"] != other["kd-mnist"]


def test_the_datasets_default_metrics_need_no_network(ganzoo, trained, unplugged):
    result = ganzoo("evaluate", trained, "-n", 1000, "--json")
    assert result.code == 0, result.err
    names = [record["metric"] for record in json.loads(result.out)]
    assert names[0] == "fd-mnist"
    assert {"kd-mnist", "coverage-mnist", "modes-mnist"} < set(names)
    assert "accuracy-mnist" not in names  # this model takes no labels


def test_real_samples_are_closer_to_real_ones_than_generated_ones_are(trained):
    run = package.load(trained)
    real, fake = (values(run.evaluate(["fd-mnist", "prdc-mnist"], n=2000, real=real)) for real in (True, False))
    assert values(run.evaluate(["accuracy"], n=2000, real=True))["accuracy-mnist"] > 0.99  # real samples have labels
    assert real["fd-mnist"] < fake["fd-mnist"] / 50
    assert real["coverage-mnist"] > 0.9 > 0.5 > fake["coverage-mnist"]


def test_a_record_is_enough_to_reproduce_its_number(ganzoo, trained):
    kept = (trained / "evaluations.jsonl").read_text() if (trained / "evaluations.jsonl").exists() else ""
    options = ["--checkpoint", 20, "--set", "prdc.nearest=3", "--set", "data.split=train"]
    assert ganzoo("evaluate", trained, "--metrics", "prdc-raw", "-n", 300, "--seed", 5, *options).code == 0
    text = (trained / "evaluations.jsonl").read_text()
    assert text.startswith(kept)  # nothing is overwritten
    record = json.loads(text.splitlines()[-1])
    assert record["metric"] == "coverage-raw"
    assert (record["checkpoint"], record["step"], record["n"], record["seed"]) == ("20", 20, 300, 5)
    assert (record["extractor"], record["options"], record["data"]) == (
        "raw",
        {"nearest": 3},
        {"name": "mnist", "split": "train", "size": 28, "fit": "pad"},
    )
    assert len(record["data_sha256"]) == 64
    assert {"ganzoo", "torch", "torch-fidelity", "numpy"} < record["versions"].keys()
    assert record["seconds"] > 0
    again = reproduced(trained, record)
    assert again["value"] == record["value"]


def reproduced(trained, record):
    """Measure again what a record describes, using only the record."""
    run = package.load(trained, checkpoint=record["step"])
    data = {f"data.{key}": value for key, value in record["data"].items() if key != "name"}
    settings = data | {f"prdc.{key}": value for key, value in record["options"].items()}
    return next(
        found
        for found in run.evaluate(
            ["prdc"], extractor=record["extractor"], n=record["n"], seed=record["seed"], settings=settings
        )
        if found["metric"] == record["metric"]
    )


def test_a_truncated_record_does_not_affect_others(tmp_path):
    records.append(tmp_path, [{"metric": "a", "value": 1.0}])
    with (tmp_path / records.FILE).open("a") as file:
        file.write('{"metric": "b", "val')
    records.append(tmp_path, [{"metric": "c", "value": 3.0}])
    assert [record["metric"] for record in records.read(tmp_path)] == ["a", "c"]


def test_numbers_are_shown_even_if_they_cannot_be_recorded(ganzoo, trained, workplace):
    shutil.copytree(trained, "closed", ignore=shutil.ignore_patterns(records.FILE))
    (workplace / "closed" / records.FILE).mkdir()  # root cannot write into a folder either
    result = ganzoo("evaluate", "closed", "--metrics", "prdc-raw", "-n", 100)
    assert result.code == 0
    assert "coverage-raw" in result.out
    assert "the numbers could not be recorded in closed: Is a directory" in result.err


def test_evaluations_do_not_change_a_training(workplace):
    settings = QUICK["settings"] | {
        "train.ema": 0.9,
        "train.metrics": ["fd-raw", "prdc-raw"],
        "train.evaluate_samples": 800,
    }
    options = QUICK | {"settings": settings}
    package.train("fc-mnist", steps=45, out="plain", **options)
    measured = package.train("fc-mnist", steps=45, out="measured", evaluate_every=10, **options)
    one, two = (
        checkpoint.load(next(checkpoint.saved(measured.directory.parent / name / "checkpoints")))
        for name in ("plain", "measured")
    )
    for part in ("weights", "ema", "training"):
        ours, theirs = getattr(one, part), getattr(two, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert one.rest["random"] == two.rest["random"]
    steps = [line["step"] for line in measured.metrics() if "metric/fd-raw" in line]
    assert steps == [10, 20, 30, 40, 45]
    last = measured.evaluations()[-1]
    assert (last["checkpoint"], last["step"], last["n"]) == ("training", 45, 800)


def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(workplace):
    settings = QUICK["settings"] | {"train.metrics": ["prdc-raw"], "train.evaluate_samples": 100}
    options = QUICK | {"settings": settings, "evaluate_every": 10, "checkpoint_every": 20}
    uninterrupted = package.train("fc-mnist", steps=60, out="uninterrupted", **options)
    package.train("fc-mnist", steps=20, out="parts", **options)
    parts = package.resume("parts", steps=60)
    lines = [
        [{key: value for key, value in line.items() if key.startswith("metric/")} for line in run.metrics()]
        for run in (uninterrupted, parts)
    ]
    assert lines[0] == lines[1]
    states = [checkpoint.load(next(checkpoint.saved(run.directory / "checkpoints"))) for run in (uninterrupted, parts)]
    assert states[0].rest["best"]["metric"] == "precision-raw"
    assert states[0].rest["best"] == states[1].rest["best"]
    assert all(torch.equal(value, states[1].weights[name]) for name, value in states[0].weights.items())


def test_averaged_weights_are_measured_if_they_are_kept(workplace):
    settings = QUICK["settings"] | {"train.ema": 0.99, "train.metrics": ["fd-raw"], "train.evaluate_samples": 800}
    run = package.train("fc-mnist", steps=30, out="r", evaluate_every=30, **QUICK | {"settings": settings})
    (during,) = run.evaluations()
    (after,) = package.load("r").evaluate(["fd-raw"], n=800, seed=during["seed"])
    assert during["value"] == after["value"]  # a loaded run has the averaged weights


BAD = {
    "no directory": (["nowhere"], "nowhere does not exist"),
    "no run": ([".", "-n", "10"], "no recipe.toml"),
    "no such step": (["RUN", "--checkpoint", "7"], "no checkpoint of step 7; available: 20, 40"),
    "no best": (["RUN", "--checkpoint", "best"], "--evaluate-every"),
    "no checkpoint": (["RUN", "--checkpoint", "newest"], "last, best or a step, not 'newest'"),
    "no digits of ours": (["RUN", "--checkpoint", "٢٠"], "last, best or a step, not"),
    "misspelled metric": (["RUN", "--metrics", "fdd"], "Unknown metric 'fdd'. Did you mean 'fd'"),
    "misspelled extractor": (["RUN", "--metrics", "fd-mnits"], "Unknown extractor 'mnits'"),
    "a metric without choice": (["RUN", "--metrics", "fid-mnist"], "takes no extractor"),
    "too few": (["RUN", "--metrics", "fd", "-n", "64"], "'fd-mnist' needs at least 65 samples here, not 64"),
    "too few for fid": (["RUN", "--metrics", "fid", "-n", "2048", "--weights", "WEIGHTS"], "SHA-256"),
    "too many": (["RUN", "-n", "10001"], "the dataset has 10000"),
    "none": (["RUN", "-n", "0"], "0"),
    "no labels": (["RUN", "--metrics", "accuracy"], "samples that come with 'label'; these come with: z"),
    "no such option": (["RUN", "--metrics", "prdc", "--set", "prdc.neighbors=3"], "neighbors"),
    "a bad option": (["RUN", "--metrics", "prdc", "--set", "prdc.nearest=0"], "nearest"),
    "another metric's option": (["RUN", "--metrics", "fd", "--set", "prdc.nearest=3"], "'prdc'"),
    "no path": (["RUN", "--set", "nearest=3"], "METRIC.OPTION"),
    "a bad data option": (["RUN", "--set", "data.split=validation"], "split"),
    "no weights": (["RUN", "--metrics", "fid", "-n", "2100"], "--weights FILE (from https://"),
    "no weights for ppl": (["RUN", "--metrics", "ppl", "-n", "50"], "'ppl' needs the weights of LPIPS and VGG-16"),
    "wrong weights": (["RUN", "--metrics", "fid", "--weights", "WEIGHTS"], "begins with"),
    "a wrong hash": (["RUN", "--metrics", "fid", "--weights", "WEIGHTS", "--sha256", "0" * 64], "not 0000"),
    "a hash of nothing": (["RUN", "--metrics", "fd", "--sha256", "0" * 64], "give both"),
    "missing weights": (["RUN", "--metrics", "fid", "--weights", "absent.pth"], "Cannot read the weights absent.pth"),
    "weights for raw": (["RUN", "--metrics", "fd-raw", "--weights", "WEIGHTS"], "has no weights"),
    "weights for two": (["RUN", "--metrics", "fd-raw,fd-mnist", "--weights", "WEIGHTS"], "raw, mnist"),
    "no device": (["RUN", "--device", "gpu"], "gpu"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_nothing_is_written(ganzoo, trained, unplugged, tmp_path, case):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"these are no weights")
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    arguments, message = BAD[case]
    result = ganzoo("evaluate", *({"RUN": trained, "WEIGHTS": weights}.get(word, word) for word in arguments))
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_a_confirmed_file_without_weights_is_refused(ganzoo, trained, unplugged, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"these are no weights")
    known = ["--weights", weights, "--sha256", hashlib.sha256(weights.read_bytes()).hexdigest()]
    result = ganzoo("evaluate", trained, "--metrics", "fid", "-n", 2100, *known)
    assert result.code == 2
    assert "does not hold weights of 'inception-v3-compat'" in result.err


def test_a_checkpoint_of_another_recipe_is_refused(ganzoo, trained, workplace):
    shutil.copytree(trained, "mixed")
    before = sorted(path.name for path in trained.rglob("*"))
    recipe = workplace / "mixed" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("generator_width = 256", "generator_width = 99"))
    result = ganzoo("evaluate", "mixed", "-n", 100)
    assert result.code == 2
    assert "does not fit its recipe.toml" in result.err
    recipe.write_text(recipe.read_text().replace('name = "mnist"', 'name = "ring8"').replace('split = "test"\n', ""))
    result = ganzoo("evaluate", "mixed", "-n", 100)
    assert result.code == 2
    assert "belongs to another recipe: its data is 'mnist', and recipe.toml says 'ring8'" in result.err
    assert sorted(path.name for path in (workplace / "mixed").rglob("*")) == before


def test_an_extractor_that_does_not_fit_the_samples_is_refused(ganzoo):
    assert ganzoo("run", "fc-ring8", "--steps", 3, "--out", "points").code == 0
    result = ganzoo("evaluate", "points", "--metrics", "fd-mnist", "-n", 100)
    assert result.code == 2
    assert "'mnist' does not fit samples of shape (2,)" in result.err
    assert ganzoo("evaluate", "points", "--metrics", "fd-raw", "-n", 100).code == 0


def test_a_recipe_that_cannot_be_measured_is_refused_before_it_trains(ganzoo, workplace):
    for wrong in (["train.metrics=fdd"], ['train.metrics=["fdd"]'], ["train.evaluate_samples=64"]):
        result = ganzoo("run", "fc-mnist", "--evaluate-every", 5, "--set", *wrong, "--steps", 5, *TINY)
        assert result.code == 2
        assert not list(workplace.iterdir())
