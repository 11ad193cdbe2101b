"""`ganzoo evaluate A B`: folders of pictures, runs, and files of features."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import linalg

from ganzoo.evaluation import stored


def fill(folder: str, count: int, seed: int, size: int = 32) -> None:
    """Write pictures of noise, more blue with each seed."""
    rng = np.random.default_rng(seed)
    Path(folder).mkdir(parents=True)
    for number in range(count):
        pixels = rng.integers(0, 256 - 40 * seed, (size, size, 3), np.uint8)
        pixels[..., 2] = np.maximum(pixels[..., 2], 30 * seed)
        Image.fromarray(pixels).save(f"{folder}/{number:04d}.png")


@pytest.fixture
def evaluate(ganzoo, workplace, monkeypatch):
    """`ganzoo evaluate` in a folder with the pictures of ``one`` (100) and ``two words`` (120)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    fill("one", 100, 0)
    fill("two words", 120, 2)

    def run(*arguments):
        options = ["--device", "cpu", *(["--set", "data.size=32"] if "--plain" not in arguments else [])]
        if not {"--plain", "--extractor"} & set(arguments):
            options += ["--extractor", "pyramid"]  # lite0 takes long
        return ganzoo("evaluate", *(a for a in arguments if a != "--plain"), *options)

    return run


def values(result) -> dict[str, float]:
    assert result.code == 0, result.err
    return {row["metric"]: row["value"] for row in json.loads(result.out)}


def test_two_folders(evaluate):
    fill("three", 300, 1)
    fill("four", 300, 3)
    result = evaluate("three", "four", "--metrics", "fd", "--set", "data.channels=color")
    assert result.code == 2  # 912 features need more samples than 300
    assert "needs at least" in result.err
    result = evaluate("one", "two words")
    assert result.out.splitlines()[0] == "100 of 100 one vs. 100 of 120 two words"
    found = values(evaluate("one", "two words", "--json"))
    names = ("kd", "precision", "recall", "density", "coverage", "authenticity")
    assert found.keys() == {f"{name}-pyramid" for name in names}
    same = values(evaluate("one", "one", "--json"))
    assert abs(same.pop("kd-pyramid")) < found["kd-pyramid"] / 10
    assert same.pop("authenticity-pyramid") == 0  # all are copies
    assert set(same.values()) == {1.0}


def test_the_numbers_are_those_of_the_formula(evaluate):
    """Of gray pictures of 8x8 pixels, compared directly."""
    rng = np.random.default_rng(0)
    for folder, shift in (("dark", 0), ("light", 60)):
        Path(folder).mkdir()
        for number in range(120):
            gray = rng.integers(shift, 190 + shift, (8, 8), np.uint8)
            Image.fromarray(gray).save(f"{folder}/{number:03d}.png")
    given = ["--metrics", "fd", "--extractor", "raw", "--set", "data.size=8", "--json", "--plain"]
    found = values(evaluate("dark", "light", *given))
    one, other = (
        np.stack([np.asarray(Image.open(p)) for p in sorted(Path(f).iterdir())]).reshape(120, -1) / 127.5 - 1
        for f in ("dark", "light")
    )
    mean = ((one.mean(0) - other.mean(0)) ** 2).sum()
    covariances = [np.cov(x, rowvar=False) for x in (one, other)]
    cross = linalg.sqrtm(covariances[0] @ covariances[1]).real.trace()
    expected = mean + covariances[0].trace() + covariances[1].trace() - 2 * cross
    assert found["fd-raw"] == pytest.approx(expected, rel=1e-3)


def test_features_that_were_saved_take_the_place_of_a_folder(evaluate):
    direct = values(evaluate("one", "two words", "--json"))
    result = evaluate("two words", "--save-stats", "two.safetensors")
    assert "Features of 120 of 120 two words: pyramid (kid, prc). Written to two.safetensors" in result.out
    assert evaluate("one", "--save-stats", "one.safetensors").code == 0
    assert values(evaluate("one", "two.safetensors", "--json", "--set", "data.channels=color")) == direct
    plain = ("one.safetensors", "two.safetensors", "--json", "--metrics", "prdc", "--plain")
    assert values(evaluate(*plain)).items() <= direct.items()
    result = evaluate("one", "two.safetensors", "--metrics", "fd")
    assert (result.code, "has: kid of pyramid, prc of pyramid. Save it again." in result.err) == (2, True)
    assert "two.safetensors has" in result.err


def test_a_folder_and_a_run(evaluate, trained):
    """The pictures get the size and the channels of the run's, and its metrics and extractor are the defaults."""
    before = sorted(trained.iterdir())
    found = evaluate(trained, "one", "--json", "--plain", "-n", 100)
    assert {"precision-mnist", "recall-mnist"} <= values(found).keys()
    assert values(evaluate("one", trained, "--json", "--plain", "-n", 100)).keys() == values(found).keys()
    result = evaluate(trained, trained, "-n", 100, "--metrics", "prdc", "--plain")
    assert result.out.startswith(
        f"100 of 100 samples of {trained}, step 40 vs. 100 of 100 samples of {trained}, step 40"
    )
    real = evaluate(trained, "--real", "--save-stats", "real.safetensors", "--metrics", "prdc", "-n", 200, "--plain")
    assert f"Features of 200 of 10000 real samples of {trained}: mnist (prc)" in real.out
    assert sorted(trained.iterdir()) == before  # nothing is recorded


def test_noise_of_the_last_digits_is_not_shown(evaluate):
    fill("many", 40, 1, size=4)
    given = ["many", "many", "--metrics", "fd", "--extractor", "raw", "--set", "data.channels=gray", "--plain"]
    shown = evaluate(*given, "--set", "data.size=4").out.splitlines()[-1].split()
    assert shown[:3] == ["fd-raw", "0", "lower"]


WRONG = {
    "one nowhere": "nowhere does not exist. Give run directories, folders of pictures, or files of features.",
    "one notes.txt": "notes.txt: no datasets open .txt files",
    "one broken.safetensors": "broken.safetensors does not hold features. Make a file of them with: ganzoo evaluate A",
    "one other.safetensors": "other.safetensors does not hold features",
    "one cut.safetensors": "cut.safetensors does not hold features",
    "one two.safetensors --metrics prdc --extractor mnist": "two.safetensors has: kid of pyramid",
    "one altered.safetensors --metrics prdc": "has features of other weights",
    "one one --real": "there is no run here",
    "one one --save-stats x.safetensors": "leave out OTHER",
    "one --save-stats x.npz": "give a .safetensors file",
    "one --save-stats nowhere/x.safetensors": "in a folder that exists",
    "two.safetensors --save-stats x.safetensors": "holds features already",
    "one one --metrics nonsense": "Unknown metric 'nonsense'",
    "one one --metrics accuracy": "needs samples that come with 'label'",
    "one one --set prdc.neares=3 --metrics prdc": "Unknown setting 'prdc.neares'",
    "one one --set fd.x=3 --metrics prdc": "The setting fd.* is of a metric that is not measured here",
    "one": "To compare the pictures in it with others: ganzoo evaluate one OTHER",
    "empty one": "No pictures in",
}


def test_nonsense_is_explained_and_leaves_nothing(evaluate, workplace):
    Path("notes.txt").write_text("hello")
    Path("empty").mkdir()
    Path("broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    assert evaluate("two words", "--save-stats", "two.safetensors").code == 0
    Path("cut.safetensors").write_bytes(Path("two.safetensors").read_bytes()[:-100])
    saved = stored.read(Path("two.safetensors"))
    stored.save(Path("altered.safetensors"), saved.features, {"pyramid": "f" * 64}, {"shape": [3, 32, 32]})
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros((3, 3), np.float32)}, "other.safetensors")
    before = sorted(workplace.rglob("*"))
    for typed, message in WRONG.items():
        result = evaluate(
            *typed.split(), *(["--plain"] if typed in ("one", "two.safetensors --save-stats x.safetensors") else [])
        )
        assert (result.code, "Traceback" in result.err) == (2, False), (typed, result)
        assert message in result.err, (typed, result.err)
    assert [path for path in sorted(workplace.rglob("*")) if "cache" not in str(path)] == [
        path for path in before if "cache" not in str(path)
    ]
