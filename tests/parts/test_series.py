"""Series: what is read from arrays, folders and CSV files, how they are written, and what each metric punishes."""

import csv
from io import BytesIO

import numpy as np
import pytest
import torch
from ganzoo_series.data import Series, Sines
from ganzoo_series.metrics import Autocorrelation, DiscriminativeScore, ValueDistance, autocorrelation
from ganzoo_series.pictures import HEIGHT, WIDTH

from ganzoo import Samples, UsageError

STEPS = np.arange(12)


def waves(n=40):
    """Series (n, 12, 2) with other units: around 100, and around 5."""
    phases = np.linspace(0, 6, n)[:, None]
    first = 100 + 20 * np.sin(STEPS / 2 + phases)
    return np.stack([first, 5 + 0.5 * np.cos(STEPS / 3 + phases)], 2)


def in_units(dataset, suffix=".npy"):
    """All series of a dataset, written and read again."""
    content = dataset.encode(dataset.tensors()["series"], dataset.fields["series"], suffix)
    if suffix == ".npy":
        return np.load(BytesIO(content))
    return list(csv.reader(content.decode().splitlines()))


# --- what is read -----------------------------------------------------------------------------------------------------


def test_an_array_is_scaled_and_written_in_its_own_units(workplace):
    np.save("waves.npy", waves())
    dataset = Series(path="waves.npy")
    series = dataset.tensors()["series"]
    assert series.shape == (40, 12, 2)
    assert series.amin((0, 1)).tolist() == [-1, -1]
    assert series.amax((0, 1)).tolist() == [1, 1]
    assert in_units(dataset) == pytest.approx(waves(), rel=1e-6)
    names, first, *rest = in_units(dataset, ".csv")
    assert names == ["series", "feature-1", "feature-2"]
    assert first[0] == "0"
    assert list(map(float, first[1:])) == pytest.approx(waves()[0, 0], rel=1e-6)
    assert len(rest) == 40 * 12 - 1


def write_csv(path, names, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def test_every_form_gives_the_same_series(workplace):
    np.savez("waves.npz", waves())
    (workplace / "folder").mkdir()
    for number, one in enumerate(waves()):
        np.save(f"folder/{number:03}.npy", one)
    rows = [(f"s{number}", *step) for number, one in enumerate(waves()) for step in one]
    write_csv(workplace / "long.csv", ["who", "a", "b"], rows)
    for options in ({"path": "waves.npz"}, {"path": "folder"}, {"path": "long.csv", "id": "who"}):
        assert in_units(Series(**options)) == pytest.approx(waves(), rel=1e-6)
    assert Series(path="long.csv", id="who").fields["series"].meta["features"] == ["a", "b"]


def test_a_row_is_a_series_without_an_id(workplace):
    write_csv(workplace / "wide.csv", [f"t{n}" for n in STEPS], waves()[:, :, 0])
    assert in_units(Series(path="wide.csv")) == pytest.approx(waves()[:, :, :1], rel=1e-6)
    np.save("two.npy", waves()[:, :, 0])
    assert in_units(Series(path="two.npy")) == pytest.approx(waves()[:, :, :1], rel=1e-6)


def test_long_series_are_cut_into_windows(workplace):
    write_csv(workplace / "long.csv", ["x"], [[n] for n in range(10)])
    found = in_units(Series(path="long.csv", length=4, stride=3))
    assert found[:, :, 0].round(5).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    np.save("long.npy", np.arange(10))
    assert in_units(Series(path="long.npy", length=4)).shape == (7, 4, 1)


def test_a_constant_feature_stays_constant(workplace):
    np.save("flat.npy", np.full((5, 6, 1), 7))
    assert (in_units(Series(path="flat.npy")) == 7).all()


def bad_arrays():
    gap = waves()
    gap[3, 4, 1] = np.nan
    return {
        "gap.npy": (gap, "missing or infinite values: 1; the first is in series 3, step 4, 'feature-2'"),
        "four.npy": (np.zeros((2, 3, 4, 5)), r"an array of the shape \(2, 3, 4, 5\)"),
        "text.npy": (np.array(["a", "b"]), "is not an array of numbers"),
        "empty.npy": (np.zeros((0, 4, 1)), "it has no series"),
        "line.npy": (np.zeros(9), "is cut into windows with data.length"),
        "step.npy": (np.zeros((9, 1)), "one step each"),
    }


@pytest.mark.parametrize("name", bad_arrays())
def test_arrays_that_are_no_series_are_refused_in_words(workplace, name):
    array, message = bad_arrays()[name]
    np.save(name, array)
    with pytest.raises(UsageError, match=message):
        Series(path=name)


def test_other_things_are_refused_in_words(workplace):
    (workplace / "junk.npy").write_bytes(b"hello")
    np.savez("two.npz", a=waves(), b=waves())
    (workplace / "none").mkdir()
    (workplace / "mixed").mkdir()
    np.save("mixed/a.npy", waves()[0])
    np.save("mixed/b.npy", waves()[0, :7])
    write_csv(workplace / "text.csv", ["who", "a"], [["x", 1], ["x", 2]])
    np.save("waves.npy", waves())
    for options, message in (
        ({"path": "gone.npy"}, "data.path = 'gone.npy': No such file"),
        ({"path": "junk.npy"}, "is not an array of numbers"),
        ({"path": "two.npz"}, "has 2 arrays"),
        ({"path": "none"}, "no .npy files"),
        ({"path": "mixed"}, "different shapes .* data.length"),
        ({"path": "text.csv"}, "'who' has values that are not numbers. .* name it in data.id"),
        ({"path": "text.csv", "id": "whom"}, "Did you mean 'who'"),
        ({"path": "waves.npy", "id": "who"}, "data.id names a column of a CSV file"),
        ({"path": "waves.npy", "length": 13}, "no series of data.length = 13 steps or more"),
    ):
        with pytest.raises(UsageError, match=message):
            Series(**options)
    assert Series(path="mixed", length=7).tensors()["series"].shape == (7, 7, 2)


def test_sines_are_sines():
    dataset = Sines(examples=50, length=200, features=2)
    series = in_units(dataset)
    assert series.shape == (50, 200, 2)
    spectrum = np.abs(np.fft.rfft(series, axis=1)).argmax(1)  # the number of waves, to the nearest whole
    assert spectrum.min() >= 1
    assert spectrum.max() <= 5
    amplitude = np.abs(series).max(1)
    assert 0.09 < amplitude.min() < 0.3 < 0.7 < amplitude.max() <= 0.9
    with pytest.raises(ValueError, match="above the highest"):
        Sines(frequency=(5.0, 1.0))


# --- metrics ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sines():
    return Sines(examples=1200, length=16)


def measured(metric, dataset, fake, real):
    sides = (Samples(values, {}, dataset, 0, None, None) for values in (fake, real))
    ((_, score),) = metric.measure(*sides).items()
    return score.value


@pytest.fixture(scope="module")
def halves(sines):
    return sines.tensors()["series"].split(600)


def test_steps_in_another_order_keep_their_values_and_lose_their_memory(sines, halves):
    mixed = halves[0][:, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    assert measured(Autocorrelation(), sines, *halves) < 0.05
    assert measured(Autocorrelation(), sines, mixed, halves[1]) > 0.1
    assert measured(ValueDistance(), sines, mixed, halves[1]) < 0.06
    assert measured(DiscriminativeScore(), sines, mixed, halves[1]) > 0.4


def test_smaller_values_keep_their_memory(sines, halves):
    assert measured(Autocorrelation(), sines, halves[0] / 2, halves[0]) == pytest.approx(0, abs=1e-6)
    mean = halves[0].abs().mean().item()
    assert measured(ValueDistance(), sines, halves[0] / 2, halves[0]) == pytest.approx(mean / 2, rel=0.05)


def test_real_series_cannot_be_told_apart(sines, halves):
    assert measured(DiscriminativeScore(), sines, *halves) < 0.1
    assert measured(ValueDistance(), sines, *halves) < 0.06


def test_the_autocorrelation_of_a_pair_of_steps_by_hand():
    found = autocorrelation(torch.tensor([[[1.0], [-1.0], [1.0], [-1.0]]]), 3)[:, 0]
    assert found.tolist() == pytest.approx([-0.75, 0.5, -0.25])
    assert not autocorrelation(torch.ones(2, 5, 1), 2).any()


# --- as a user --------------------------------------------------------------------------------------------------------


def test_an_array_is_trained_on_sampled_drawn_and_measured(ganzoo, workplace):
    np.save("waves.npy", waves())
    quick = [
        "--steps",
        2,
        "--batch-size",
        8,
        "--set",
        "model.generator_width=8",
        "--set",
        "model.discriminator_width=8",
    ]
    result = ganzoo("run", "rgan", "--data", "waves.npy", "--out", "run", *quick)
    assert result.code == 0, result.err
    (workplace / "waves.npy").rename("moved.npy")
    for name in ("x.npy", "x.csv", "x.png", "x"):
        assert ganzoo("sample", "run", "-n", 3, "-o", name).code == 0
    samples = np.load("x.npy")
    assert samples.shape == (3, 12, 2)
    assert 79 < samples[..., 0].min() <= samples[..., 0].max() < 121
    assert len(list((workplace / "x").iterdir())) == 3
    (workplace / "moved.npy").rename("waves.npy")
    result = ganzoo("evaluate", "run", "-n", 40)
    assert result.code == 0, result.err
    for name in ("autocorrelation", "values", "discriminative-score"):
        assert name in result.out


def test_a_picture_has_a_curve_per_feature(workplace):
    np.save("waves.npy", waves())
    dataset = Series(path="waves.npy")
    picture = Series.pictures(torch.tensor([[[1.0, -1.0]] * 12]), dataset.fields["series"])
    assert picture.shape == (1, 3, HEIGHT, WIDTH)
    colored = (picture[0].amax(0) - picture[0].amin(0) > 0.2).nonzero()[:, 0]  # rows with color
    assert colored.unique().tolist() == [6, HEIGHT - 6]
