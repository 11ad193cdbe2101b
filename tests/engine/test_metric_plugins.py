"""Metrics and extractors of other plugins: used by name, checked, and no risk for a training."""

import json
import random
import sys

import pytest
import torch

import ganzoo as package
from ganzoo.data import TensorDataset
from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.training import previews
from ganzoo.training.experiment import build
from ganzoo.training.state import TrainingState
from ganzoo.zoo import Zoo
from tests.conftest import TINY

WAVE = """
    from ganzoo import Metric, Score, hookimpl

    class Wave(Metric):
        values = iter([5.0, 1.0, 3.0, 4.0, 2.0])

        def measure(self, fake, real):
            assert fake.model is not None and real.model is None
            assert fake.values.shape == real.values.shape == (50, 1, 28, 28)
            return {"wave": Score(next(Wave.values), "lower")}

    @hookimpl
    def ganzoo_parts():
        return {"metrics": {"wave": "wave:Wave"}}
"""


def test_the_best_checkpoint_is_kept_in_addition_to_the_last(ganzoo, install):
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
    assert package.load("r", checkpoint="best").step == 70  # 0.5 is better than 1.0
    wave.values = iter([0.25])
    assert ganzoo("evaluate", "r", "--metrics", "wave", "-n", 50).code == 0


@pytest.mark.parametrize(
    "returned", ["0.5", "{}", '{"x": 0.5}', '{"x": Score(1.0, "up")}', '{"x": Score(1.0, "", {"y": object()})}']
)
def test_a_metric_that_returns_no_scores_is_named_in_the_error(ganzoo, install, trained, returned):
    install("odd", WAVE.replace("wave", "odd").replace('{"odd": Score(next(Wave.values), "lower")}', returned))
    result = ganzoo("evaluate", trained, "--metrics", "odd", "-n", 50)
    assert result.code == 2
    assert "The metric 'odd' cannot be computed here" in result.err


def test_a_tensor_is_accepted_as_a_number(ganzoo, install, trained):
    install("odd", WAVE.replace("wave", "odd").replace("Score(next(Wave.values)", "Score(fake.values.float().mean()"))
    result = ganzoo("evaluate", trained, "--metrics", "odd,odd", "-n", 50, "--json")
    assert [type(record["value"]) for record in json.loads(result.out)] == [float]  # requested twice, measured once


def test_metrics_of_the_same_name_are_chosen_by_plugin(ganzoo, install, trained):
    install("odd", WAVE.replace('"wave": "wave:', '"fd": "odd:').replace('"wave": Score', '"odd": Score'))
    refused = ganzoo("evaluate", trained, "--metrics", "fd", "-n", 50)
    assert (refused.code, "Choose one: fidelity/fd or odd/fd" in refused.err) == (2, True)
    found = ganzoo("evaluate", trained, "--metrics", "fidelity/fd-mnist,odd/fd", "-n", 50, "--json")
    assert found.code == 2  # 50 are too few for the first
    found = ganzoo("evaluate", trained, "--metrics", "odd/fd,fidelity/kd-mnist", "-n", 50, "--json")
    assert found.code == 0, found.err
    assert [record["metric"] for record in json.loads(found.out)][:2] == ["odd", "kd-mnist"]


def test_draws_of_parts_from_global_generators_are_seeded_too():
    class Shaky(TensorDataset):
        def prepare(self, stored):
            return {"point": stored["point"] + torch.randn(()) + random.random()}

    zoo, dataset = Zoo(), Shaky({"point": torch.randn(200, 2, generator=torch.Generator())})
    state = torch.get_rng_state()
    found = [Evaluator(zoo, dataset, None, n=100, seed=3, device=torch.device("cpu")) for _ in range(2)]
    assert found[0].real_sha256 == found[1].real_sha256
    one, two = ([result.score.value for result in evaluator.measure_real()] for evaluator in found)
    assert one == two
    assert torch.equal(torch.get_rng_state(), state)


def test_a_preview_restores_the_mode_of_every_module():
    zoo = Zoo()
    state = TrainingState(build(zoo, zoo.recipe("fc-ring8")))
    state.model.train()
    state.model.generator[1].eval()
    previews.preview(state, previews.fixed_batch(state))
    assert not state.model.generator[1].training
    assert state.model.generator[0].training


def test_a_failing_metric_does_not_stop_a_training(ganzoo, install):
    install("wave", WAVE.replace("5.0, 1.0", 'float("nan"), 1.0'))
    options = ["--set", 'train.metrics=["wave"]', "--set", "train.evaluate_samples=50", "--out", "r"]
    result = ganzoo("run", "fc-mnist", "--steps", 30, "--evaluate-every", 10, *options, *TINY)
    assert result.code == 0
    assert (
        "step 10 could not be measured: The metric 'wave' cannot be computed here: ValueError: wave is nan"
        in result.err
    )
    assert [record["step"] for record in package.load("r").evaluations()] == [20, 30]
    assert package.load("r", checkpoint="best").step == 20


def test_an_extractor_of_another_plugin_is_used_by_name(ganzoo, install, trained):
    install(
        "bars",
        """
        from ganzoo import FeatureExtractor, hookimpl

        class Bars(FeatureExtractor):
            feature_layers = {"fid": "rows"}

            def layers(self, images):
                assert images.shape[1:] == (3, 28, 28)
                return {"rows": images.float().mean((1, 3))}

        @hookimpl
        def ganzoo_parts():
            return {"extractors": {"bars": "bars:Bars"}}
        """,
    )
    assert "bars" in ganzoo("list", "--kind", "extractors").out
    result = ganzoo("evaluate", trained, "--metrics", "fd,prdc-raw", "--extractor", "bars", "-n", 200, "--json")
    assert result.code == 0, result.err
    assert [record["metric"] for record in json.loads(result.out)][:2] == ["fd-bars", "precision-raw"]


def test_show_explains_a_part_and_its_options(ganzoo):
    result = ganzoo("show", "prdc")
    assert result.code == 0
    assert "of the plugin fidelity" in result.out
    assert "nearest  5        int >= 1" in result.out
    assert "ring8 (dataset)" in ganzoo("show", "gaussians/ring8").out
    unknown = ganzoo("show", "fc-mnits")
    assert unknown.code == 2
    assert "Did you mean 'fc-mnist'" in unknown.err
