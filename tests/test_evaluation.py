"""Numbers: equal each time, kept with all it takes to get them again, and none of the training's business."""

import hashlib
import json
import random
import shutil
import socket
import sys

import pytest
import torch

import ganzoo as package
from ganzoo.data import TensorData
from ganzoo.evaluation import cards
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.plugins import Zoo
from ganzoo.training import checkpoint, views
from ganzoo.training.experiment import build
from ganzoo.training.loop import Training
from tests.conftest import TINY

QUICK = {"batch_size": 16, "device": "cpu", "settings": {"data.split": "test", "train.sample_count": 4}}
RAW = ["fd-raw", "kid-mnist", "prdc-raw"]

WAVE = """
    from ganzoo import Metric, Score, hookimpl

    class Wave(Metric):
        values = iter([5.0, 1.0, 3.0, 4.0, 2.0])

        def measure(self, fake, real):
            assert fake.model is not None and real.model is None
            assert fake.values.shape == real.values.shape == (50, 1, 28, 28)
            return {"wave": Score(next(Wave.values), "lower")}

    @hookimpl
    def ganzoo_metrics():
        return {"wave": "wave:Wave"}
"""


@pytest.fixture
def unplugged(monkeypatch, tmp_path):
    """No network, and no downloads from earlier days."""

    def refuse(*arguments):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A run that tests measure and do not change, but for the cards it gains."""
    path = tmp_path_factory.mktemp("trained") / "run"
    package.train("fc-mnist", steps=40, out=path, checkpoint_every=20, **QUICK)
    return path


def values(found):
    return {card["metric"]: card["value"] for card in found}


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(directory, unplugged):
    run = package.load(directory)
    one, two, other = (values(run.evaluate(RAW, n=1000, seed=seed)) for seed in (3, 3, 4))
    assert one.keys() == {"fd-raw", "kid-mnist", "precision-raw", "recall-raw", "density-raw", "coverage-raw"}
    assert one == two == values(package.load(directory).evaluate(RAW, n=1000, seed=3))
    assert one["fd-raw"] != other["fd-raw"]


def test_the_datas_own_metrics_need_no_network(ganzoo, directory, unplugged):
    result = ganzoo("evaluate", directory, "-n", 1000, "--json")
    assert result.code == 0, result.err
    names = [card["metric"] for card in json.loads(result.out)]
    assert names[0] == "fd-mnist"
    assert {"kid-mnist", "coverage-mnist", "modes-mnist"} < set(names)
    assert "accuracy-mnist" not in names  # nobody asks this model for a label


def test_real_samples_are_nearer_to_real_ones_than_any_fakes(directory):
    run = package.load(directory)
    real, fake = (values(run.evaluate(["fd-mnist", "prdc-mnist"], n=2000, real=real)) for real in (True, False))
    assert values(run.evaluate(["accuracy"], n=2000, real=True))["accuracy-mnist"] > 0.99  # real ones have labels
    assert real["fd-mnist"] < fake["fd-mnist"] / 50
    assert real["coverage-mnist"] > 0.9 > 0.5 > fake["coverage-mnist"]


def test_a_card_says_all_it_takes_to_get_its_number_again(ganzoo, directory):
    kept = (directory / "evaluations.jsonl").read_text() if (directory / "evaluations.jsonl").exists() else ""
    options = ["--checkpoint", 20, "--set", "prdc.nearest=3", "--set", "data.split=train"]
    assert ganzoo("evaluate", directory, "--metrics", "prdc-raw", "-n", 300, "--seed", 5, *options).code == 0
    text = (directory / "evaluations.jsonl").read_text()
    assert text.startswith(kept)  # nothing is overwritten
    card = json.loads(text.splitlines()[-1])
    assert card["metric"] == "coverage-raw"
    assert (card["checkpoint"], card["step"], card["n"], card["seed"]) == ("20", 20, 300, 5)
    assert (card["extractor"], card["settings"], card["data"]) == (
        "raw",
        {"nearest": 3},
        {"name": "mnist", "split": "train"},
    )
    assert len(card["data_sha256"]) == 64
    assert {"ganzoo", "torch", "torch-fidelity", "numpy"} < card["versions"].keys()
    assert card["seconds"] > 0
    again = ganzoo_again(directory, card)
    assert again["value"] == card["value"]


def ganzoo_again(directory, card):
    """Measure what a card describes, from nothing but the card."""
    run = package.load(directory, checkpoint=card["step"])
    data = {f"data.{key}": value for key, value in card["data"].items() if key != "name"}
    settings = data | {f"prdc.{key}": value for key, value in card["settings"].items()}
    return next(
        found
        for found in run.evaluate(
            ["prdc"], extractor=card["extractor"], n=card["n"], seed=card["seed"], settings=settings
        )
        if found["metric"] == card["metric"]
    )


def test_a_card_that_was_cut_short_does_not_take_others_with_it(tmp_path):
    cards.append(tmp_path, [{"metric": "a", "value": 1.0}])
    with (tmp_path / cards.FILE).open("a") as file:
        file.write('{"metric": "b", "val')
    cards.append(tmp_path, [{"metric": "c", "value": 3.0}])
    assert [card["metric"] for card in cards.read(tmp_path)] == ["a", "c"]


def test_numbers_are_shown_where_they_cannot_be_kept(ganzoo, directory, workplace):
    shutil.copytree(directory, "closed", ignore=shutil.ignore_patterns(cards.FILE))
    (workplace / "closed" / cards.FILE).mkdir()  # also root cannot write into a folder
    result = ganzoo("evaluate", "closed", "--metrics", "prdc-raw", "-n", 100)
    assert result.code == 0
    assert "coverage-raw" in result.out
    assert "the cards could not be kept in closed: Is a directory" in result.err


def test_training_notices_nothing_of_its_evaluation(workplace):
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
    for part in ("weights", "average", "training"):
        ours, theirs = getattr(one, part), getattr(two, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert one.rest["random"] == two.rest["random"]
    steps = [line["step"] for line in measured.metrics() if "metric/fd-raw" in line]
    assert steps == [10, 20, 30, 40, 45]
    last = measured.evaluations()[-1]
    assert (last["checkpoint"], last["step"], last["n"]) == ("training", 45, 800)


def test_the_average_is_measured_where_one_is_kept(workplace):
    settings = QUICK["settings"] | {"train.ema": 0.99, "train.metrics": ["fd-raw"], "train.evaluate_samples": 800}
    run = package.train("fc-mnist", steps=30, out="r", evaluate_every=30, **QUICK | {"settings": settings})
    (during,) = run.evaluations()
    (after,) = package.load("r").evaluate(["fd-raw"], n=800, seed=during["seed"])
    assert during["value"] == after["value"]  # loaded runs have the averaged weights


def test_the_best_checkpoint_is_kept_beside_the_last(ganzoo, install, unplugged):
    install("wave", WAVE)
    options = ["--set", 'train.metrics=["wave"]', "--set", "train.evaluate_samples=50", "--set", "train.keep=1"]
    result = ganzoo("run", "fc-mnist", "--steps", 50, "--evaluate-every", 10, "--out", "r", *options, *TINY)
    assert result.code == 0, result.err
    assert sorted(path.name for path in (package.load("r").directory / "checkpoints").iterdir()) == [
        "step-00000020",
        "step-00000050",
    ]
    assert package.load("r", checkpoint="best").step == 20
    assert package.load("r").step == 50
    assert "step 20: " in ganzoo("sample", "r", "--checkpoint", "best", "-n", 4, "-o", "g.png").out
    wave = sys.modules["wave"].Wave
    wave.values = iter([6.0, 0.5])
    assert ganzoo("resume", "r", "--steps", 70).code == 0
    assert package.load("r", checkpoint="best").step == 70  # better than the 1.0 of before; the 6.0 was not
    wave.values = iter([0.25])
    assert ganzoo("evaluate", "r", "--metrics", "wave", "-n", 50).code == 0


@pytest.mark.parametrize(
    "returned", ["0.5", "{}", '{"x": 0.5}', '{"x": Score(1.0, "up")}', '{"x": Score(1.0, "", {"y": object()})}']
)
def test_a_metric_that_returns_no_scores_is_blamed(ganzoo, install, directory, returned):
    install("odd", WAVE.replace("wave", "odd").replace('{"odd": Score(next(Wave.values), "lower")}', returned))
    result = ganzoo("evaluate", directory, "--metrics", "odd", "-n", 50)
    assert result.code == 2
    assert "The metric 'odd' cannot be computed here" in result.err


def test_a_tensor_will_do_as_a_number(ganzoo, install, directory):
    install("odd", WAVE.replace("wave", "odd").replace("Score(next(Wave.values)", "Score(fake.values.float().mean()"))
    result = ganzoo("evaluate", directory, "--metrics", "odd,odd", "-n", 50, "--json")
    assert [type(card["value"]) for card in json.loads(result.out)] == [float]  # asked for twice, measured once


def test_two_plugins_metrics_of_one_name_are_told_apart(ganzoo, install, directory):
    install("odd", WAVE.replace('"wave": "wave:', '"fd": "odd:').replace('"wave": Score', '"odd": Score'))
    refused = ganzoo("evaluate", directory, "--metrics", "fd", "-n", 50)
    assert (refused.code, "Say which: fidelity/fd or odd/fd" in refused.err) == (2, True)
    found = ganzoo("evaluate", directory, "--metrics", "fidelity/fd-mnist,odd/fd", "-n", 50, "--json")
    assert found.code == 2  # 50 are too few for the first
    found = ganzoo("evaluate", directory, "--metrics", "odd/fd,fidelity/prdc-mnist", "-n", 50, "--json")
    assert [card["metric"] for card in json.loads(found.out)][:2] == ["odd", "precision-mnist"]


def test_what_parts_draw_from_global_generators_is_seeded_too():
    class Shaky(TensorData):
        def prepare(self, stored):
            return {"point": stored["point"] + torch.randn(()) + random.random()}

    zoo, data = Zoo(), Shaky({"point": torch.randn(200, 2, generator=torch.Generator())})
    state = torch.get_rng_state()
    found = [Evaluator(zoo, data, None, n=100, seed=3, device=torch.device("cpu")) for _ in range(2)]
    assert found[0].real_sha256 == found[1].real_sha256
    one, two = ([result.score.value for result in evaluator.measure_real()] for evaluator in found)
    assert one == two
    assert torch.equal(torch.get_rng_state(), state)


def test_a_part_that_is_kept_in_eval_mode_stays_in_it():
    training = Training(build(Zoo(), Zoo().recipe("fc-ring8")))
    training.model.train()
    training.model.generator[1].eval()
    views.preview(training, views.fixed(training))
    assert not training.model.generator[1].training
    assert training.model.generator[0].training


def test_what_cannot_be_measured_does_not_stop_a_training(ganzoo, install):
    install("wave", WAVE.replace("5.0, 1.0", 'float("nan"), 1.0'))
    options = ["--set", 'train.metrics=["wave"]', "--set", "train.evaluate_samples=50", "--out", "r"]
    result = ganzoo("run", "fc-mnist", "--steps", 30, "--evaluate-every", 10, *options, *TINY)
    assert result.code == 0
    assert (
        "step 10 could not be measured: The metric 'wave' cannot be computed here: ValueError: wave is nan"
        in result.err
    )
    assert [card["step"] for card in package.load("r").evaluations()] == [20, 30]
    assert package.load("r", checkpoint="best").step == 20


def test_a_strangers_extractor_is_used_by_name(ganzoo, install, directory):
    install(
        "bars",
        """
        from ganzoo import hookimpl
        from torch_fidelity.feature_extractor_base import FeatureExtractorBase

        class Bars(FeatureExtractorBase):
            def __init__(self, name, features_list, **kwargs):
                super().__init__(name, features_list)

            @staticmethod
            def get_provided_features_list():
                return ("rows",)

            @staticmethod
            def get_default_feature_layer_for_metric(metric):
                return "rows"

            @staticmethod
            def can_be_compiled():
                return False

            @staticmethod
            def get_dummy_input_for_compile():
                raise NotImplementedError

            def forward(self, x):
                assert x.shape[1:] == (3, 28, 28)
                return (x.float().mean((1, 3)),)

        @hookimpl
        def ganzoo_extractors():
            return {"bars": "bars:Bars"}
        """,
    )
    assert "bars" in ganzoo("list", "--kind", "extractors").out
    result = ganzoo("evaluate", directory, "--metrics", "fd,prdc-raw", "--extractor", "bars", "-n", 200, "--json")
    assert result.code == 0, result.err
    assert [card["metric"] for card in json.loads(result.out)][:2] == ["fd-bars", "precision-raw"]


BAD = {
    "no directory": (["nowhere"], "nowhere does not exist"),
    "no run": ([".", "-n", "10"], "no recipe.toml"),
    "no such step": (["RUN", "--checkpoint", "7"], "no checkpoint of step 7; it has: 20, 40"),
    "no best": (["RUN", "--checkpoint", "best"], "--evaluate-every"),
    "no checkpoint": (["RUN", "--checkpoint", "newest"], "last, best or a step, not 'newest'"),
    "misspelt metric": (["RUN", "--metrics", "fdd"], "Unknown metric 'fdd'. Did you mean 'fd'"),
    "misspelt extractor": (["RUN", "--metrics", "fd-mnits"], "Unknown extractor 'mnits'"),
    "a metric without choice": (["RUN", "--metrics", "fid-mnist"], "takes no extractor"),
    "too few": (["RUN", "--metrics", "fd", "-n", "64"], "'fd-mnist' needs at least 65 samples here, not 64"),
    "too few for fid": (["RUN", "--metrics", "fid", "-n", "2048", "--weights", "WEIGHTS"], "SHA-256"),
    "too many": (["RUN", "-n", "10001"], "the data set has 10000"),
    "none": (["RUN", "-n", "0"], "0"),
    "no labels": (["RUN", "--metrics", "accuracy"], "samples that come with 'label'; these come with: z"),
    "no such option": (["RUN", "--metrics", "prdc", "--set", "prdc.neighbours=3"], "neighbours"),
    "a bad option": (["RUN", "--metrics", "prdc", "--set", "prdc.nearest=0"], "nearest"),
    "another metric's option": (["RUN", "--metrics", "fd", "--set", "prdc.nearest=3"], "'prdc'"),
    "no path": (["RUN", "--set", "nearest=3"], "METRIC.OPTION"),
    "a bad data option": (["RUN", "--set", "data.split=validation"], "split"),
    "no weights": (["RUN", "--metrics", "fid", "-n", "2100"], "--weights FILE (from https://"),
    "wrong weights": (["RUN", "--metrics", "fid", "--weights", "WEIGHTS"], "begins with"),
    "a wrong hash": (["RUN", "--metrics", "fid", "--weights", "WEIGHTS", "--sha256", "0" * 64], "not 0000"),
    "a hash of nothing": (["RUN", "--metrics", "fd", "--sha256", "0" * 64], "give both"),
    "missing weights": (["RUN", "--metrics", "fid", "--weights", "absent.pth"], "Cannot read the weights absent.pth"),
    "weights for raw": (["RUN", "--metrics", "fd-raw", "--weights", "WEIGHTS"], "has no weights"),
    "weights for two": (["RUN", "--metrics", "fd-raw,fd-mnist", "--weights", "WEIGHTS"], "raw, mnist"),
    "no device": (["RUN", "--device", "gpu"], "gpu"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_message_and_nothing_is_written(ganzoo, directory, unplugged, tmp_path, case):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"these are no weights")
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    arguments, message = BAD[case]
    result = ganzoo("evaluate", *({"RUN": directory, "WEIGHTS": weights}.get(word, word) for word in arguments))
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before


def test_weights_that_were_vouched_for_but_are_none(ganzoo, directory, unplugged, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"these are no weights")
    known = ["--weights", weights, "--sha256", hashlib.sha256(weights.read_bytes()).hexdigest()]
    result = ganzoo("evaluate", directory, "--metrics", "fid", "-n", 2100, *known)
    assert result.code == 2
    assert "does not hold weights of 'inception-v3-compat'" in result.err


def test_a_checkpoint_of_another_recipe_is_refused(ganzoo, directory, workplace):
    shutil.copytree(directory, "mixed")
    before = sorted(path.name for path in directory.rglob("*"))
    recipe = workplace / "mixed" / "recipe.toml"
    recipe.write_text(
        recipe.read_text()
        .replace('name = "fc"', 'name = "fc"\ngenerator_width = 99')
        .replace("generator_width = 256\n", "")
    )
    result = ganzoo("evaluate", "mixed", "-n", 100)
    assert result.code == 2
    assert "does not fit its recipe.toml" in result.err
    recipe.write_text(recipe.read_text().replace('name = "mnist"', 'name = "ring8"').replace('split = "test"\n', ""))
    result = ganzoo("evaluate", "mixed", "-n", 100)
    assert result.code == 2
    assert "of another recipe: its data is 'mnist', and recipe.toml says 'ring8'" in result.err
    assert sorted(path.name for path in (workplace / "mixed").rglob("*")) == before


def test_an_extractor_that_does_not_fit_the_samples_is_refused(ganzoo):
    assert ganzoo("run", "fc-ring8", "--steps", 3, "--out", "points").code == 0
    result = ganzoo("evaluate", "points", "--metrics", "fd-mnist", "-n", 100)
    assert result.code == 2
    assert "'mnist' does not fit samples of shape (2,)" in result.err
    assert ganzoo("evaluate", "points", "--metrics", "fd-raw", "-n", 100).code == 0


def test_a_recipe_that_cannot_be_measured_says_so_before_it_trains(ganzoo, workplace):
    for wrong in (["train.metrics=fdd"], ['train.metrics=["fdd"]'], ["train.evaluate_samples=64"]):
        result = ganzoo("run", "fc-mnist", "--evaluate-every", 5, "--set", *wrong, "--steps", 5, *TINY)
        assert result.code == 2
        assert not list(workplace.iterdir())
