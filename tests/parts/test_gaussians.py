"""Mixtures of Gaussians: the points match their description, and the metric counts known samples correctly."""

import math
from types import SimpleNamespace

import pytest
import torch
from ganzoo_gaussians.data import Grid25, Ring8
from ganzoo_gaussians.metric import GaussianModes

import ganzoo as package
from tests.conftest import TINY

KINDS = {"ring8": (Ring8, 8, 0.02 / 2), "grid25": (Grid25, 25, 0.05 / 4)}  # deviation over the largest coordinate
NAMES = ["mode-overlap", "modes", "high-quality", "reverse-kl"]


def points(dataset):
    return dataset.tensors()["point"]


def measured(values, dataset, **options):
    """The metric's numbers, and the share of each mode."""
    samples = SimpleNamespace(values=values, dataset=dataset)
    scores = GaussianModes(**options).measure(samples, samples)
    assert list(scores) == NAMES
    return {name: score.value for name, score in scores.items()}, scores["modes"].details["shares"]


# --- the datasets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_each_mode_has_its_center_and_its_deviation(name):
    kind, k, ratio = KINDS[name]
    dataset = kind()
    assert dataset.centers.shape == (k, 2)
    assert dataset.deviation == pytest.approx(0.8 * ratio)
    assert (points(dataset).shape, points(dataset).dtype) == ((50_000, 2), torch.float32)
    assert points(dataset).abs().max() < 0.9
    each = 50_000 // k
    for mode, center in enumerate(dataset.centers):
        mine = points(dataset)[mode::k].double() - center
        assert len(mine) == each
        standard_error = dataset.deviation / math.sqrt(each)
        assert mine.mean(0).abs().max() < 4 * standard_error
        assert (mine.std(0) - dataset.deviation).abs().max() < 4 * standard_error / math.sqrt(2)
        assert abs(torch.corrcoef(mine.T)[0, 1]) < 4 / math.sqrt(each)


def test_the_centers_are_a_ring_and_a_grid():
    ring, grid = Ring8(examples=8).centers, Grid25(examples=25).centers
    torch.testing.assert_close(ring.norm(dim=1), torch.full((8,), 0.8))
    side = (ring - ring.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(side, torch.full((8,), 1.6 * math.sin(math.pi / 8)))
    expected = {(x / 5, y / 5) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {(round(x, 5), round(y, 5)) for x, y in grid.tolist()} == expected


@pytest.mark.parametrize("name", KINDS)
def test_the_points_do_not_depend_on_the_global_seed(name):
    kind = KINDS[name][0]
    torch.manual_seed(1)
    one = points(kind())
    torch.manual_seed(2)
    assert torch.equal(one, points(kind()))


@pytest.mark.parametrize("name", KINDS)
def test_even_the_widest_gaussians_stay_within_the_range_of_a_tanh(name):
    widest = KINDS[name][0](deviation=0.04)
    assert points(widest).abs().max() < 1
    assert measured(points(widest), widest)[0]["high-quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.002)


# --- the metric -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_the_dataset_itself_has_the_best_numbers(name):
    kind, k, _ = KINDS[name]
    numbers, shares = measured(points(kind()), kind())
    assert numbers["modes"] == k
    quality = 1 - math.exp(-(3**2) / 2)  # of a Gaussian in the plane, within three deviations
    assert numbers["high-quality"] == pytest.approx(quality, abs=0.002)
    assert numbers["mode-overlap"] == pytest.approx(numbers["high-quality"])
    assert sum(shares) == pytest.approx(numbers["high-quality"])
    assert numbers["reverse-kl"] == pytest.approx(0, abs=1e-9)


def test_a_collapse_to_one_mode_lowers_the_overlap_despite_high_quality():
    ring = Ring8()
    numbers, shares = measured(ring.centers[[3]].repeat(100, 1), ring)
    assert numbers == pytest.approx({"mode-overlap": 1 / 8, "modes": 1, "high-quality": 1, "reverse-kl": math.log(8)})
    assert shares == [0, 0, 0, 1, 0, 0, 0, 0]


def test_excess_samples_of_one_mode_do_not_replace_another():
    ring = Ring8()
    numbers, shares = measured(ring.centers[[0, 0, 0, 0, 0, 1, 2, 3]], ring)
    assert (numbers["modes"], numbers["high-quality"], numbers["mode-overlap"]) == (4, 1, 0.5)
    assert shares == [5 / 8, 1 / 8, 1 / 8, 1 / 8, 0, 0, 0, 0]
    assert numbers["reverse-kl"] == pytest.approx(5 / 8 * math.log(5))


def test_at_least_sets_the_samples_that_a_mode_needs():
    ring = Ring8()
    values = ring.centers[[0, 0, 1]]
    assert measured(values, ring)[0]["modes"] == 2
    assert measured(values, ring, at_least=2)[0]["modes"] == 1


@pytest.mark.parametrize("name", KINDS)
def test_the_high_quality_share_of_uniform_noise_is_the_area_of_the_discs(name):
    kind, k, _ = KINDS[name]
    dataset = kind()
    noise = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    numbers, _ = measured(noise, dataset)
    discs = k * math.pi * (3 * dataset.deviation) ** 2 / 4  # as a share of the square's area, 4
    assert numbers["high-quality"] == pytest.approx(discs, abs=4 * math.sqrt(discs / 20_000))
    assert numbers["mode-overlap"] <= numbers["high-quality"] < 0.03


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("examples", [10, 10_000])  # many points are measured as exactly as few
def test_high_quality_ends_at_three_deviations(name, examples):
    dataset = KINDS[name][0]()
    away = torch.tensor([0.6, -0.8]) * dataset.deviation
    centers = dataset.centers[torch.arange(examples) % len(dataset.centers)]
    assert measured(centers + 2.99 * away, dataset)[0]["high-quality"] == 1
    assert measured(centers + 3.01 * away, dataset)[0]["high-quality"] == 0


def test_a_dataset_without_centers_is_refused_before_anything_is_written(ganzoo, workplace):
    metrics = ["--evaluate-every", 5, "--set", 'train.metrics=["gaussian"]']
    result = ganzoo("run", "fc-mnist", "--steps", 5, *metrics, *TINY)
    assert result.code == 2
    assert "'gaussian' does not fit this dataset: it is for mixtures of Gaussians" in result.err
    assert not list(workplace.iterdir())


# --- the recipe and the command line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("data.examples=0", "data.examples = 0: input should be greater than or equal to 1"),
        ("data.deviation=-1", "data.deviation = -1: input should be greater than 0"),
        ("data.deviation=0.5", "less than or equal to 0.04"),
        ("data.radius=2", "radius"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(ganzoo, workplace, setting, complaint):
    result = ganzoo("run", "fc-ring8", "--set", setting)
    assert result.code == 2
    assert complaint in result.err
    assert not list(workplace.iterdir())


def test_a_short_run_is_measured_with_the_metrics_of_its_dataset(ganzoo, workplace):
    run = package.train("fc-ring8", steps=4, settings={"train.evaluate_every": 2, "train.evaluate_samples": 100})
    assert [(record["metric"], record["step"]) for record in run.evaluations()] == [
        (m, s) for s in (2, 4) for m in NAMES
    ]
    records = run.evaluate(n=500)
    names = [record["metric"] for record in records]
    assert names == [*NAMES, "fd-raw", "precision-raw", "recall-raw", "density-raw", "coverage-raw"]
    assert len(records[1]["details"]["shares"]) == 8
    assert run.sample(5).shape == (5, 2)
    real = {record["metric"]: record["value"] for record in run.evaluate(n=500, real=True)}
    assert real["modes"] == 8
    assert real["mode-overlap"] > 0.85
    assert real["fd-raw"] < 0.01


def test_the_recipe_finds_the_modes(workplace):
    """1,000 of its 4,000 steps are enough: with each of the seeds 0, 1 and 2, all 8 modes were found by then."""
    run = package.train("fc-ring8", steps=1000, device="cpu", settings={"train.evaluate_every": 0}, out="run")
    numbers = {record["metric"]: record["value"] for record in run.evaluate(["gaussian"], n=2000)}
    assert numbers["modes"] >= 7
    assert numbers["high-quality"] > 0.3
