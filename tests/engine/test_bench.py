"""``ganzoo bench``: where the time of a training goes."""

import json
from pathlib import Path

import pytest

from ganzoo import benchmark

QUICK = ["--seconds", 1, "--set", "data.split=test", "--device", "cpu"]


def test_it_measures_and_compares_and_writes_nothing(ganzoo):
    first = ganzoo("bench", "fc-mnist", *QUICK, "--json")
    assert first.code == 0, first.err
    found = json.loads(first.out)
    d, g = 784 * 128 + 128, 126 * 256 + 256 * 784  # multiplications per example in a forward pass
    turn_of_d = 64 * (2 * d + 128)  # forward; weights; inputs, but for those of the first layer
    turn_of_g = 32 * (2 * d + 2 * g + 256 * 784)  # D forward and its inputs; G as above
    assert found["flop"] == 2 * (turn_of_d + turn_of_g)
    assert list(found["parts"]) == [
        "load the batch",
        "prepare: what the turns share",
        "turn 1: discriminator",
        "turn 2: generator",
    ]
    assert all(cost > 0 for cost in found["parts"].values())
    speed = found["steps_per_second"]
    assert speed["least"] <= speed["median"] <= speed["greatest"]
    assert 0 < found["share_of_peak"] < 1
    Path("before.json").write_text(first.out)
    second = ganzoo("bench", "fc-mnist", *QUICK, "--against", "before.json")
    assert second.code == 0, second.err
    assert "fc-mnist on cpu, 1 thread, batches of 32, fp32" in second.out
    assert "times as many as before" in second.out
    assert "TIMES THAT BEFORE" in second.out
    assert "MFLOP" in second.out
    assert [path.name for path in Path().iterdir()] == ["before.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read before.json"),
        ("no json", "is not what 'ganzoo bench RECIPE --json' prints"),
        ("[1]", "is not what 'ganzoo bench RECIPE --json' prints"),
        ('{"recipe": "fc-mnist"}', "is not what 'ganzoo bench RECIPE --json' prints"),
        (
            '{"recipe": "dcgan-mnist", "steps_per_second": {"median": 1}, "parts": {}}',
            "has the numbers of 'dcgan-mnist', not of 'fc-mnist'",
        ),
    ],
)
def test_other_files_are_refused_at_once(ganzoo, content, message):
    if content:
        Path("before.json").write_text(content)
    result = ganzoo("bench", "fc-mnist", "--against", "before.json")
    assert result.code == 2
    assert message in result.err


def test_mistakes_are_explained(ganzoo):
    assert "Did you mean 'fc-mnist'?" in ganzoo("bench", "fc-mnst").err
    assert "Did you mean 'model.latent_dim'?" in ganzoo("bench", "fc-mnist", "--set", "model.latnt_dim=3").err


def test_advice_follows_the_numbers():
    found = {"parts": {"load the batch": 1.0, "rest": 9.0}, "share_of_peak": 0.2, "overhead": 0.01, "precision": "fp32"}
    assert [text.split()[0:6] for text in benchmark.advice(found)] == [["The", "rest", "is", "bound", "by", "memory"]]
    slow = {**found, "parts": {"load the batch": 9.0, "rest": 1.0}, "overhead": 0.3, "share_of_peak": 0.8}
    loading, between, rest, precision = benchmark.advice(slow)
    assert "Loading takes 90% of each step" in loading
    assert "take 30% of the time" in between
    assert "bound by arithmetic" in rest
    assert precision == "Try --precision auto."
