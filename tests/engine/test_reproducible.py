"""The same seed gives the same bits: rerun, resumed, streamed, and beside plugins that touch global randomness."""

import random

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo.runs import checkpoint

QUICK = {"batch_size": 16, "device": "cpu", "settings": {"data.split": "test", "train.log_every": 10}}


def weights(run):
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.fixture
def dropout_plugin(install):
    """A model that draws from torch's global generator, and has batch statistics."""
    install(
        "noisy-gan",
        """
        from ganzoo import hookimpl

        @hookimpl
        def ganzoo_parts():
            return {"models": {"noisy": "noisy_gan_model:Noisy"}}
        """,
    )
    install(
        "noisy-gan-model",
        """
        from torch import nn
        from ganzoo_fc.model import FullyConnected

        class Noisy(FullyConnected):
            def __init__(self, fields, *, latent_dim: int = 8):
                super().__init__(fields, latent_dim=latent_dim, generator_width=16, discriminator_width=16)
                self.generator.insert(1, nn.BatchNorm1d(16))
                self.discriminator.insert(2, nn.Dropout(0.3))
        """,
    )


def test_a_rerun_is_bit_identical_and_another_seed_is_not(workplace):
    one, two, other = (
        ganzoo.train("fc-mnist", steps=60, out=f"r{i}", seed=s, **QUICK) for i, s in enumerate((3, 3, 4))
    )
    assert_same(weights(one), weights(two))
    assert not torch.equal(one.model.generator[0].weight, other.model.generator[0].weight)
    drop = ("seconds", "examples_per_second")
    lines = [[{k: v for k, v in line.items() if k not in drop} for line in run.metrics()] for run in (one, two)]
    assert lines[0] == lines[1]
    assert torch.equal(one.sample(5, seed=1), two.sample(5, seed=1))


@pytest.mark.parametrize("cache", ["auto", "never"])
def test_a_resumed_run_is_bit_identical(workplace, dropout_plugin, cache):
    settings = {**QUICK["settings"], "train.ema": 0.9, "train.cache_on_device": cache, "train.sample_count": 4}
    options = {**QUICK, "model": "noisy", "batch_size": 200, "settings": settings}  # 50 steps per epoch
    undisturbed = ganzoo.train("fc-mnist", steps=130, out="undisturbed", **options)
    ganzoo.train("fc-mnist", steps=33, out="resumed", **options)
    ganzoo.resume("resumed", steps=71)
    resumed = ganzoo.resume("resumed", steps=130)
    assert_same(weights(undisturbed), weights(resumed))
    ours, theirs = (
        checkpoint.load(next(checkpoint.saved(run.directory / "checkpoints"))) for run in (undisturbed, resumed)
    )
    for part in ("weights", "ema", "training"):
        assert_same(getattr(ours, part), getattr(theirs, part))


def test_streamed_data_come_in_the_order_of_cached_data(workplace):
    settings = {**QUICK["settings"], "train.num_workers": 0}
    cached = ganzoo.train("fc-mnist", steps=20, out="a", **{**QUICK, "settings": settings})
    streamed = ganzoo.train(
        "fc-mnist", steps=20, out="b", **{**QUICK, "settings": {**settings, "train.cache_on_device": "never"}}
    )
    assert_same(weights(cached), weights(streamed))


def test_worker_processes_change_nothing(workplace):
    settings = {**QUICK["settings"], "train.cache_on_device": "never"}
    alone = ganzoo.train("fc-mnist", steps=8, out="a", **{**QUICK, "settings": settings})
    helped = ganzoo.train("fc-mnist", steps=8, out="b", **{**QUICK, "settings": {**settings, "train.num_workers": 1}})
    assert_same(weights(alone), weights(helped))


def test_an_observer_that_touches_global_randomness_changes_nothing(workplace, install, dropout_plugin):
    options = {**QUICK, "model": "noisy"}
    quiet = ganzoo.train("fc-mnist", steps=40, out="quiet", **options)
    install(
        "meddler",
        """
        import random
        from ganzoo import Observer, hookimpl

        def touch():
            import numpy, torch
            torch.manual_seed(1), numpy.random.seed(1), random.seed(1)
            torch.rand(3)

        class Meddler(Observer):
            def __init__(self): touch()
            def on_tick(self, tick): touch()
            def on_samples(self, step, images, samples): touch()
            def on_checkpoint(self, step, path): touch()

        @hookimpl
        def ganzoo_observer(run):
            touch()
            return Meddler()
        """,
    )
    meddled = ganzoo.train("fc-mnist", steps=40, out="meddled", **options)
    assert_same(weights(quiet), weights(meddled))


def test_training_does_not_touch_the_random_state_of_its_caller(workplace):
    random.seed(5)
    torch.manual_seed(5)
    expected = (random.random(), torch.rand(2))
    random.seed(5)
    torch.manual_seed(5)
    ganzoo.train("fc-mnist", steps=3, out="r", **QUICK)
    assert random.random() == expected[0]
    assert torch.equal(torch.rand(2), expected[1])


class Layout(ganzoo.Model):
    """Convolutions whose weights have the memory format channels_last."""

    batch_dependent = False

    def __init__(self, fields):
        super().__init__(fields)
        channels, *sides = fields[self.target].shape
        self.sides = sides
        self.generator = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1))
        self.discriminator = nn.Sequential(nn.Conv2d(channels, 8, 3), nn.Conv2d(8, 8, 3))
        self.to(memory_format=torch.channels_last)

    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, 4, *self.sides, generator=rng)}

    def generate(self, latent):
        return self.generator(latent["z"])

    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample).mean((1, 2, 3))[:, None]}


def test_a_resume_keeps_the_memory_layout_of_the_state_of_optimizers(install, tmp_path):
    model = "def ganzoo_parts(): return {'models': {'layout': 'tests.engine.test_reproducible:Layout'}}"
    install("layout-gan", f"from ganzoo import hookimpl\n@hookimpl\n{model}")
    settings = {"data.split": "test", "train.sample_count": 1}
    options = {"model": "layout", "device": "cpu", "batch_size": 4, "settings": settings}
    undisturbed = ganzoo.train("fc-mnist", steps=6, out=tmp_path / "undisturbed", **options)
    stopped = ganzoo.train("fc-mnist", steps=3, out=tmp_path / "stopped", **options)
    resumed = ganzoo.resume(stopped.directory, steps=6)
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
