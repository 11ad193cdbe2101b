"""A folder of the user's own, from one short command: names, classes, samples of a class."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo as package
from ganzoo import TensorDataset, UsageError, Zoo, api
from ganzoo.recipes import read_one
from ganzoo.training.opening import nearest_recipe

SHORT = ("--steps", 2, "--batch-size", 4, "--device", "cpu", "--set", "train.sample_count=4", "--evaluate-every", 0)


class Numbers(TensorDataset):
    """A file of numbers."""

    opens = (".numbers",)

    def __init__(self, *, path: str) -> None:
        super().__init__({"point": torch.tensor(np.loadtxt(path), dtype=torch.float32)})


@pytest.fixture
def photos(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog", "owl"):
        (workplace / "my photos" / kind).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 256, (40, 30 + i, 3), np.uint8)
            Image.fromarray(pixels).save(workplace / "my photos" / kind / f"{i}.png")
    return workplace / "my photos"


def test_a_folder_is_trained_on_by_its_path(ganzoo, photos):
    result = ganzoo("run", "dcgan", "--data", "./my photos", *SHORT, "--set", "data.size=32")
    assert result.code == 0, result.err
    assert "dcgan-my-photos: data folder (24, 3 classes: cat, dog, owl)" in result.out
    (folder,) = Path("runs/dcgan-my-photos").iterdir()
    recipe = read_one(folder / "recipe.toml")
    assert (recipe.name, recipe.title) == ("dcgan-my-photos", "Deep convolutional GAN on my photos")
    assert recipe.data.name == "folder"
    assert recipe.data.options["path"] == str(photos)
    assert ganzoo("resume", folder, "--steps", 3).code == 0
    assert recipe.expect == {}


@pytest.mark.parametrize(
    ("recipe", "data", "settings", "chosen"),
    [
        ("dcgan", "my photos", {}, "dcgan-emoji"),  # color, 64x64
        ("dcgan", "my photos", {"data.size": 128}, "dcgan-emoji"),
        ("dcgan", "my photos", {"data.channels": "gray", "data.size": 32}, "dcgan-mnist"),
        ("dcgan", "fashion-like", {}, "dcgan-mnist"),
        ("fc", "grid25", {}, "fc-ring8"),
        ("fc", "my photos", {}, "fc-mnist"),
    ],
)
def test_the_settings_are_those_of_the_recipe_for_the_most_similar_data(
    photos, install, capsys, recipe, data, settings, chosen
):
    code = """
        import torch
        from ganzoo import TensorDataset, hookimpl

        class Gray(TensorDataset):
            def __init__(self):
                super().__init__({"image": torch.zeros(40, 1, 28, 28, dtype=torch.uint8)})

        @hookimpl
        def ganzoo_parts():
            return {"datasets": {"fashion-like": "gray:Gray"}}
    """
    install("gray", code)
    zoo = Zoo()
    pairs = [(one, api.adapt(api.with_data(zoo, one, data), settings=settings)) for one in zoo.candidates(recipe)]
    found, dataset = nearest_recipe(zoo, pairs)
    assert found in [changed for original, changed in pairs if original.name == chosen]
    assert dataset is not None
    shape = "x".join(map(str, dataset.fields[dataset.target].shape))
    assert f"Samples of {shape}: with the settings of {chosen}." in capsys.readouterr().err


def test_two_recipes_for_the_same_data_are_a_choice_of_the_user():
    zoo = Zoo()
    one = zoo.recipe("fc-ring8")
    other = replace(one, name="fc-other")
    with pytest.raises(UsageError, match=r"Several recipes suit these data\. Choose one: fc-ring8, fc-other\."):
        nearest_recipe(zoo, [(one, one), (other, other)])


def test_samples_of_a_named_class(ganzoo, photos):
    assert ganzoo("run", "acgan", "--data", str(photos), *SHORT, "--set", "data.size=32", "--out", "run").code == 0
    run = package.load("run")
    assert run.class_names == ("cat", "dog", "owl")
    assert torch.equal(run.sample(5, label="dog"), run.sample(5, label=1))
    assert torch.equal(run.sample(5, label="dog"), run.sample(5, label="1"))
    drawn = run.draw(9, seed=2)
    assert torch.equal(drawn["image"], run.sample(9, seed=2))
    assert ganzoo("sample", "run", "--label", "owl", "-n", 3, "-o", "owls").code == 0
    assert sorted(str(path) for path in Path("owls").rglob("*.png")) == [f"owls/owl/0000{i}.png" for i in range(3)]
    assert ganzoo("sample", "run", "-n", 9, "--seed", 2, "-o", "all").code == 0
    folders = [next(Path("all").glob(f"*/{i:05d}.png")).parent.name for i in range(9)]
    assert folders == [run.class_names[label] for label in drawn["label"]]
    assert ganzoo("sample", "run", "-n", 9, "--seed", 2, "-o", "all.npz").code == 0
    arrays = np.load("all.npz")
    assert arrays["label"].tolist() == drawn["label"].tolist()
    assert arrays["class_names"].tolist() == ["cat", "dog", "owl"]
    wrong = ganzoo("sample", "run", "--label", "dgo")
    assert wrong.code == 2
    assert "There is no class 'dgo'. Did you mean 'dog'?" in wrong.err
    assert "There is no label 3: this run has 3 classes, 0 to 2" in ganzoo("sample", "run", "--label", "3").err


def test_a_class_that_is_called_like_a_number_is_meant_by_its_name():
    field = package.Field((), torch.int64, 3, ("7", "1", "0"))
    model = type("M", (package.LatentModel,), {"sample_latent": lambda self, n, rng: {"label": torch.zeros(n).long()}})
    run = object.__new__(package.Run)
    run.fields, run.model = (
        {"image": package.Field((1, 4, 4)), "label": field},
        model({"image": package.Field((1, 4, 4))}, 2),
    )
    assert [run._label(label) for label in ("7", "1", "0", 0, 1)] == [0, 1, 2, 2, 1]


@pytest.mark.parametrize(
    ("recipe", "data", "message"),
    [
        ("dcgan", "./my phtos", r"there is no folder .*my phtos\. Did you mean 'my photos'"),
        ("dcgan", "mnst", r"Unknown dataset 'mnst'\. Did you mean 'mnist'"),
        ("dcgan", "book.txt", r"--data book\.txt: no datasets open \.txt files\. They open: \.csv, .*folders"),
        ("dcgan", "nothere.zip", r"there is no folder .*nothere\.zip"),
        ("fc", None, r"Several recipes begin with 'fc'\. Choose one: fc-mnist, fc-ring8\."),
        ("dcgn", "my photos", r"Unknown recipe 'dcgn'\. Did you mean"),
    ],
)
def test_what_is_mistyped_is_named(ganzoo, photos, recipe, data, message):
    Path("book.txt").touch()
    with pytest.raises(UsageError, match=message):
        package.train(recipe, data=data, steps=1)
    assert not Path("runs").exists()


def test_a_dataset_of_a_plugin_opens_its_files(install, photos):
    for name in ("one", "two"):
        parts = {"datasets": {f"numbers-{name}": f"{__name__}:Numbers"}}
        install(name, f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {parts!r}\n")
        if name == "one":
            recipe = api.with_data(Zoo(), Zoo().recipe("fc-ring8"), "./x.NUMBERS")
            assert (recipe.name, recipe.data.name) == ("fc-x", "numbers-one")
    with pytest.raises(UsageError, match=r"2 datasets open \.numbers files\. Choose one: numbers-one, numbers-two"):
        api.with_data(Zoo(), Zoo().recipe("fc-ring8"), "./x.numbers")


def test_a_plugin_that_could_not_be_imported_is_named(install, ganzoo, photos):
    parts = {"datasets": {"numbers": "lost_module.data:Numbers"}}
    install("lost", f"from ganzoo import hookimpl\n\n\n@hookimpl\ndef ganzoo_parts():\n    return {parts!r}\n")
    install("worse", "import nothing_of_this_name\n")
    result = ganzoo("run", "fc-ring8", "--data", "./x.numbers")
    assert result.code == 2
    assert "no datasets open .numbers files" in result.err
    assert "Plugins that are broken, and open nothing: " in result.err
    assert "lost ('numbers' of the plugin" in result.err
    assert "No module named 'lost_module'" in result.err
    assert "worse (" in result.err
    assert "broken" not in ganzoo("run", "fc-ring8", "--data", "./x.csv").err  # a dataset opens it, and says why not


def test_a_dataset_is_preferred_to_a_folder_of_its_name(photos):
    zoo, recipe = Zoo(), Zoo().recipe("dcgan-mnist")
    Path("mnist").mkdir()
    assert api.with_data(zoo, recipe, "mnist") == recipe
    assert api.with_data(zoo, recipe, "./mnist").data.name == "folder"
    for name, expected in {"2024": "dcgan-2024", "true": "dcgan-true", "...": "dcgan-data"}.items():
        Path(name).mkdir(exist_ok=True)
        chosen = api.with_data(zoo, recipe, f"./{name}")
        assert (chosen.name, chosen.data.options["path"]) == (expected, str(Path(name).absolute()))
    assert api.with_data(zoo, recipe, Path("2024")).name == "dcgan-2024"
    assert "metrics" not in api.with_data(zoo, zoo.recipe("infogan-mnist"), "./2024").train
