"""Training health: each alarm on a real run made to fail that way, none on good runs, and the rules one by one."""

import math
from pathlib import Path

import pytest
import torch
from ganzoo_gaussians.data import Ring8
from ganzoo_health.diversity import diversity
from ganzoo_health.watch import Watch

import ganzoo as package
from ganzoo import Zoo
from ganzoo.runs.directory import RunDirectory
from tests.engine.test_alarms import alarms, assert_same_weights, train

OFTEN = {"train.sample_min_steps": 1}  # diversity is measured in each epoch, however short
RAW = {"train.ema": 0.0, "train.seed": 1, **OFTEN}
FAILING = {
    "discriminator-won": ("fc-mnist", 700, {"optimizer.generator.lr": 3e-2}),
    "discriminator-blind": ("fc-mnist", 1100, {"optimizer.discriminator.lr": 1e-9}),
    "exploding-gradient": ("fc-mnist", 240, {"optimizer.name": "sgd", "optimizer.lr": 1.0, "train.log_every": 1}),
    "vanishing-gradient": ("fc-mnist", 700, {"loss.name": "saturating", "optimizer.discriminator.lr": 3e-3}),
    "collapse": ("fc-ring8", 500, {"optimizer.betas": [0.97, 0.999], "optimizer.generator.lr": 1e-3, **RAW}),
}


@pytest.fixture
def saturating(install):
    """The loss ``minimax`` without D(x) among the scalars."""
    install(
        "saturating",
        """
        from ganzoo import hookimpl
        from ganzoo_losses.classic import Minimax

        class Saturating(Minimax):
            def log_scores(self, real, fake):
                return {}

        @hookimpl
        def ganzoo_parts():
            return {"losses": {"saturating": "saturating:Saturating"}}
        """,
    )


# --- real runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FAILING)
def test_each_alarm_is_raised_by_a_run_that_fails_that_way(kind, workplace, saturating, capsys):
    recipe, steps, settings = FAILING[kind]
    run = train(recipe, steps, "failing", settings)
    raised = alarms(run)
    assert {alarm["alarm"] for alarm in raised} == {kind}
    out = capsys.readouterr().out
    for alarm in raised:
        assert 0 <= alarm["last_healthy_step"] < alarm["step"] <= steps
        assert alarm["fatal"] == (kind in ("collapse", "discriminator-won"))
        text = f"{alarm['message']} {alarm['remedy']}"
        assert len(text) <= 300
        assert "--set optimizer." in text
        assert f"Alarm at step {alarm['step']} ({kind}): {text}" in out


@pytest.mark.parametrize(("recipe", "steps", "measurements"), [("fc-mnist", 2000, 4), ("fc-ring8", 1000, 10)])
def test_good_runs_raise_no_alarm(recipe, steps, measurements, workplace):
    run = train(recipe, steps, "good", OFTEN)
    assert not alarms(run)
    assert sum("health/diversity" in line for line in run.metrics()) == measurements


def test_a_stopped_run_is_saved_and_resumes_to_the_same_alarms(ganzoo, workplace):
    recipe, steps, settings = FAILING["discriminator-won"]
    uninterrupted = train(recipe, steps, "uninterrupted", settings)
    (alarm,) = alarms(uninterrupted)

    train(recipe, 300, "run", settings, on_collapse="stop")  # the condition has held for some ticks already
    stopped = ganzoo("resume", "run", "--steps", steps)
    assert stopped.code == 1
    assert alarm["message"] in stopped.err
    assert "ganzoo resume run --on-collapse warn" in stopped.err
    assert package.load("run").step == alarm["step"] < steps
    status = RunDirectory(Path("run")).status
    assert (status["state"], status["reason"]) == ("failed", alarm["message"])

    assert ganzoo("resume", "run", "--on-collapse", "warn").code == 0
    assert alarms("run") == alarms(uninterrupted)
    assert_same_weights(package.load("run"), uninterrupted)


def test_health_does_not_change_the_training(workplace):
    zoo = Zoo()
    (health,) = (plugin for plugin in zoo.plugins if plugin.name == "health")
    zoo.plugins.remove(health)
    zoo._manager.unregister(health.module)
    watched, unwatched = train("fc-mnist", 700, "watched"), train("fc-mnist", 700, "unwatched", zoo=zoo)
    assert any("health/diversity" in line for line in watched.metrics())
    assert not any("health/diversity" in line for line in unwatched.metrics())
    assert_same_weights(watched, unwatched)


# --- the rules, on made-up ticks ------------------------------------------------------------------------------------


def watch(ticks, every=100, steps_per_epoch=1000):
    """Return (step, kind, last healthy step) of the alarms for ticks with these scalars."""
    rules = Watch(steps_per_epoch)
    steps = range(every, every * len(ticks) + 1, every)
    raised = [(step, rules.check(step, scalars)) for step, scalars in zip(steps, ticks, strict=True)]
    return [(step, alarm.kind, alarm.last_healthy_step) for step, alarms in raised for alarm in alarms]


def scores(real, fake=0.0, loss=5.0):
    return {"D(x)": real, "D(G(z))": fake, "loss/generator": loss}


def test_the_discriminator_wins_once_until_it_is_uncertain_again():
    won, wavering, lost = scores(0.995), scores(0.97), scores(0.8, 0.3)
    assert watch([lost] * 3 + [won] * 4 + [lost] * 9) == []
    assert watch([lost] * 3 + [won] * 9) == [(800, "discriminator-won", 300)]
    assert watch([won] * 20) == [(500, "discriminator-won", 0)]
    assert len(watch([won] * 9 + [wavering, won] * 9)) == 1
    assert watch([won] * 9 + [lost] + [won] * 9) == [(500, "discriminator-won", 0), (1500, "discriminator-won", 1000)]
    assert watch([won] * 400, every=1) == []  # too few steps, though many ticks


def test_the_discriminator_has_not_won_while_the_generator_catches_up():
    assert watch([scores(0.995, loss=9 * 0.95**n) for n in range(30)]) == []


def test_the_discriminator_is_blind_only_while_the_samples_are_poor():
    blind, seeing = scores(0.5, 0.51), scores(0.55, 0.5)
    assert watch([blind] * 9 + [seeing] + [blind] * 9) == []
    assert watch([seeing] + [blind] * 30) == [(1100, "discriminator-blind", 100)]
    assert watch([{**blind, "health/diversity": 0.9}] + [blind] * 30) == []
    assert len(watch([{**blind, "health/diversity": 0.1}] + [blind] * 10 + [scores(0.51, 0.5), blind] * 10)) == 1


def test_a_collapse_is_a_fall_in_diversity_and_ends_above_a_higher_threshold():
    def measured(*values):
        return watch([{"health/diversity": value} if value else {} for value in values])

    assert measured(0.1, 0.15, 0.25, 0.15, 0.25, 0.5, 0.9) == []  # not diverse yet
    assert measured(0.5, 0, 0.3, 0.1, 0, 0.1, 0.1) == [(400, "collapse", 300)]
    assert measured(0.5, 0.19, 0.21, 0.19, 0.29, 0.19) == [(200, "collapse", 100)]
    assert measured(0.5, 0.19, 0.31, 0.19) == [(200, "collapse", 100), (400, "collapse", 300)]


def test_samples_that_never_become_diverse_are_a_collapse_after_the_warm_up():
    poor = {"health/diversity": 0.05}
    assert watch([poor] * 40, every=1000) == [(31_000, "collapse", 0)]
    assert watch([poor] * 120, every=1000, steps_per_epoch=50_000) == [(101_000, "collapse", 0)]
    assert watch([{"health/diversity": 0.25}] * 40, every=1000) == []


def norms(*values, player="generator"):
    return watch([{f"gradient/{player}": value} for value in values])


def test_a_gradient_explodes_if_it_is_far_above_the_median_for_two_ticks():
    calm = [2.0, 1.0, 9.0] * 5
    assert norms(*calm, 190, 190, 190) == []
    assert norms(*calm, 500, 1, 500, 1, 500) == []
    assert norms(*calm, 500, 500, 500, 50, 500, 500) == [(1700, "exploding-gradient", 1500)]
    assert [step for step, _, _ in norms(*calm, 500, 500, 1, 500, 500)] == [1700, 2000]
    assert norms(*[1e-6] * 20, 5, 5, 5) == []  # far above the median, but small
    assert norms(*[2.0**n for n in range(40)])[0][1:] == ("exploding-gradient", 1300)
    assert norms(1.0, 500.0, 500.0, 500.0) == []  # too few earlier ticks


def test_a_gradient_vanishes_if_it_is_far_below_the_largest():
    assert norms(*[1.0, 2.0] * 5, *[1e-5] * 6) == [(1500, "vanishing-gradient", 1000)]
    assert norms(*[1.0, 2.0] * 5, *[1e-5, 1e-2] * 6) == []
    assert norms(*[1.0] * 10, *[1e-5] * 5, 1e-3, *[1e-5] * 20) == [(1500, "vanishing-gradient", 1000)]
    assert norms(*[1.0] * 10, *[1e-9] * 50, player="discriminator") == []
    won = [{**scores(1.0), "gradient/generator": 10.0**-n} for n in range(20)]
    assert watch(won) == [(500, "discriminator-won", 0)]


def test_each_player_has_rules_of_its_own_and_a_tick_without_its_norm_is_ignored():
    both = [{"gradient/generator": 1.0, "gradient/critic": 1e3}] * 12
    burst = [{"gradient/generator": 1e4}, {}, {"gradient/critic": 1e3}, {"gradient/generator": 1e4}]
    assert watch(both + burst) == [(1600, "exploding-gradient", 1200)]


# --- diversity ------------------------------------------------------------------------------------------------------


def test_the_score_is_the_effective_number_of_samples():
    apart = torch.eye(40)  # every pair has the same distance, 3 bandwidths, so the eigenvalues of K are known
    one, others = (1 + 39 * math.exp(-4.5)) / 40, (1 - math.exp(-4.5)) / 40
    score = math.exp(-one * math.log(one) - 39 * others * math.log(others))
    assert diversity(apart, apart) == pytest.approx(1)
    assert diversity(torch.zeros(40, 40), apart) == pytest.approx(1 / score)
    assert diversity(1e3 * apart, apart) == pytest.approx(40 / score)


@pytest.mark.parametrize("n", [32, 512])
def test_diversity_counts_the_modes_of_a_ring(n):
    points = Ring8().tensors()["point"]
    real = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:n]]
    by_modes = [diversity(points[torch.arange(n) * 8 + torch.arange(n) % modes], real) for modes in range(1, 9)]
    assert by_modes == sorted(by_modes)
    assert by_modes[0] < 0.15
    assert 0.25 < by_modes[1] < 0.3
    assert by_modes[-1] > 0.95


def test_diversity_is_none_if_it_cannot_be_measured():
    samples = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    assert diversity(samples, samples[:, :2]) is None
    assert diversity(samples[:7], samples[:7]) is None
    assert diversity(samples, torch.ones(16, 3)) is None
    assert diversity(samples * math.nan, samples) is None
    assert diversity(samples[:, 0], samples[:, 0]) is None
