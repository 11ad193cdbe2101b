"""Export: a file behaves like the model for any number of samples; one that does not is never put in place."""

import json
import sys
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ganzoo as package
from ganzoo import Field, GanzooError, Model, Run, UsageError, Zoo, export, randomness
from ganzoo.training.experiment import build

IMAGE, LABEL = Field((1, 8, 8)), Field((), torch.int64, classes=10)


class Everything(Model):
    """A model with every kind of input (noise, a class, codes, an image) and with channels_last weights."""

    required_fields = ("label", "source")
    condition_fields = ("source",)
    latent_distributions = {"z": "normal", "style": "uniform", "spare": "unheard-of"}

    def __init__(self, fields):
        super().__init__(fields)
        self.embedding = nn.Embedding(10, 4)
        self.generator = nn.Conv2d(11, 1, 3, padding=1).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(1)
        self.discriminator = nn.Linear(500, 500)

    def sample_latent(self, n, rng):
        return {
            "z": torch.randn(n, 4, generator=rng),
            "label": torch.randint(10, (n,), generator=rng),
            "style": torch.rand(n, 2, generator=rng) * 2 - 1,
            "scale": torch.rand(n, generator=rng) * 5 + 3,
            "code": torch.randint(60, (n,), generator=rng),
            "spare": torch.rand(n, 1, generator=rng),  # not used
        }

    def generate(self, latent):
        codes = torch.cat([latent["z"], self.embedding(latent["label"]), latent["style"]], 1)  # (n, 10)
        planes = codes[:, :, None, None].expand(-1, -1, 8, 8) / latent["scale"][:, None, None, None]
        planes = planes + latent["code"][:, None, None, None]
        return self.norm(self.generator(torch.cat([planes, latent["source"]], 1))).tanh()


class Shared(Everything):
    """One network under two names, both of which generate."""

    def __init__(self, fields):
        super().__init__(fields)
        self.again = nn.Sequential(self.embedding)

    def generate(self, latent):
        return super().generate({**latent, "z": self.again(latent["label"])})


class Noisy(Everything):
    def generate(self, latent):
        return super().generate(latent) + torch.rand(1)


class Branching(Everything):
    def generate(self, latent):
        return super().generate(latent) * (1 if latent["z"].sum() > 0 else 2)


class OfThree(Everything):
    def generate(self, latent):
        return super().generate(latent).reshape(3, 1, 8, 8)


class Frozen(Everything):
    """Draws a number once, when it is traced."""

    def generate(self, latent):
        return super().generate(latent) * torch.tensor(float(torch.rand(1)))


def a_run(kind, folder) -> Run:
    fields = {"image": IMAGE, "source": IMAGE, "label": LABEL}
    zoo = Zoo()
    with randomness.preserved():
        torch.manual_seed(0)
        return Run(folder, zoo.recipe("fc-mnist"), 3, fields, kind(fields), torch.device("cpu"), "last", zoo)


def drawn_by(made) -> np.ndarray:
    """Return what the three lines that are shown to users draw."""
    names = {}
    exec("\n".join(made.usage()), names)
    return np.asarray(names["sample"].detach() if made.format == "torch" else names["sample"])


@pytest.mark.parametrize("name", [entry.name for entry in Zoo().entries()])
def test_every_recipe_of_the_zoo_can_be_exported(name, tmp_path):
    zoo = Zoo()
    try:
        experiment = build(zoo, zoo.recipe(name))
    except UsageError as error:
        pytest.skip(str(error))  # such as data that must be downloaded
    fields, model = experiment.dataset.fields, experiment.model
    run = Run(tmp_path, experiment.recipe, 0, fields, model, torch.device("cpu"), "last", zoo)
    for kind in export.SUFFIXES:
        made = run.export(format=kind)
        sample = drawn_by(made)
        assert sample.shape == (8, *fields[model.target].shape)
        assert np.isfinite(sample).all()


@pytest.mark.parametrize("kind", list(export.SUFFIXES))
def test_a_file_has_one_described_input_per_latent_and_condition(kind, tmp_path):
    run = a_run(Everything, tmp_path)
    made = run.export(tmp_path / f"g{export.SUFFIXES[kind]}")
    assert made.path.stat().st_size < 100_000  # without the discriminator's 250,000 parameters
    assert {entry.name: (entry.shape, entry.dtype) for entry in made.inputs} == {
        "source": ((1, 8, 8), "float32"),
        "z": ((4,), "float32"),
        "label": ((), "int64"),
        "style": ((2,), "float32"),
        "scale": ((), "float32"),
        "code": ((), "int64"),
        "spare": ((1,), "float32"),
    }
    meanings = {entry.name: entry.meaning for entry in made.inputs}
    assert meanings["z"] == "standard normal"
    assert meanings["style"] == "uniform in [-1, 1]"
    assert meanings["spare"] == meanings["scale"] == "as the model's sample_latent() draws it"
    assert meanings["label"] == "integers from 0 to 9"
    assert meanings["code"] == "integers from 0 to 59"
    assert meanings["source"] == "as in the dataset"
    assert str(made.inputs[0]) == "source: float32 (n, 1, 8, 8), as in the dataset"
    code = {entry.name: entry.torch if kind == "torch" else entry.numpy for entry in made.inputs}
    assert code["z"].startswith(("torch.randn((8, 4))", "np.random.standard_normal((8, 4))"))
    assert code["style"].startswith(("torch.rand((8, 2)) * 2 - 1", "np.random.uniform(-1, 1, (8, 2))"))
    assert all(code[name] in made.usage()[-1] for name in code)
    assert drawn_by(made).shape == (8, 1, 8, 8)
    if kind == "torch":
        assert not [name for name in torch.export.load(made.path).state_dict if "discriminator" in name]
    assert run.model.discriminator.in_features == 500  # the model of the run is unchanged


def test_a_file_has_the_names_of_the_classes(ganzoo, workplace):
    import onnxruntime

    for name, level in (("dog", 250), ("owl's", 20), ("cat", 120)):
        (workplace / "pets" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (16, 16), level + number).save(workplace / "pets" / name / f"{number}.png")
    options = ("--set", "data.size=32", "--set", "data.cache=c", "--batch-size", 4)
    assert ganzoo("run", "acgan", "--data", "pets", *options, "--steps", 2, "--out", "run").code == 0
    names = {"label": ["cat", "dog", "owl's"]}
    run = package.load("run")
    z = run.model.sample_latent(2, randomness.generator(0, "samples"))["z"]
    for file in ("g.onnx", "g.pt2"):
        result = ganzoo("export", "run", "-o", file)
        assert result.code == 0, result.err
        assert "label: int64 (n,), integers from 0 to 2: cat, dog, owl's" in result.out
        shown = {}
        exec(textwrap.dedent(result.out.partition("Use it like this:")[2]), shown)
        assert shown["names"] == names
        assert shown["sample"].shape == (8, 1, 32, 32)
    session = onnxruntime.InferenceSession("g.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"]) == names
    files = {"class_names": ""}
    generate = torch.export.load("g.pt2", extra_files=files).module()
    assert json.loads(files["class_names"]) == names
    dogs = torch.full((2,), names["label"].index("dog"))
    (sample,) = session.run(["sample"], {"z": z.numpy(), "label": dogs.numpy()})
    assert torch.equal(generate(z=z, label=dogs), run.sample(2, seed=0, label="dog"))
    assert np.allclose(sample, run.sample(2, seed=0, label="dog"), atol=1e-4)


@pytest.mark.parametrize("kind", list(export.SUFFIXES))
def test_a_network_with_two_names_can_be_exported(kind, tmp_path):
    assert a_run(Shared, tmp_path).export(format=kind).difference < 1e-5


def test_a_file_draws_the_samples_of_the_run(ganzoo, trained, workplace):
    import onnxruntime

    result = ganzoo("export", trained, "-o", "g.onnx", "--checkpoint", 20)
    assert result.code == 0
    assert "Step 20 of fc-mnist: g.onnx" in result.out
    assert "z: float32 (n, 126), standard normal" in result.out
    assert "sample: float32 (n, 1, 28, 28)" in result.out
    assert 'session.run(["sample"], {"z": np.random.standard_normal((8, 126)).astype("float32")})' in result.out
    assert result.err == ""
    run = package.load(trained, checkpoint=20)
    z = run.model.sample_latent(5, randomness.generator(0, "samples"))["z"]
    session = onnxruntime.InferenceSession("g.onnx")
    (sample,) = session.run(["sample"], {"z": z.numpy()})
    assert torch.allclose(torch.from_numpy(sample), run.sample(5, seed=0), atol=1e-4)
    assert not torch.allclose(torch.from_numpy(sample), package.load(trained).sample(5, seed=0), atol=1e-2)
    assert session.get_inputs()[0].shape == ["batch", 126]
    assert ganzoo("export", trained, "--format", "torch", "-o", "g.pt2").code == 0
    sample = torch.export.load("g.pt2").module()(z=z)
    assert torch.equal(sample, package.load(trained).sample(5, seed=0))


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Noisy, "differs from the model by"),
        (Frozen, "cannot be exported|differs from the model by"),
        (Branching, "no branch on tensor values"),
        (OfThree, "any number of samples"),
    ],
)
def test_a_file_that_differs_from_the_model_is_not_put_in_place(kind, complaint, tmp_path):
    path = tmp_path / "g.pt2"
    path.write_text("the old file")
    with pytest.raises(GanzooError, match=complaint):
        a_run(kind, tmp_path).export(path)
    assert [path.name for path in tmp_path.iterdir()] == ["g.pt2"]
    assert path.read_text() == "the old file"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-o", "g.png"], "name it .onnx or .pt2"),
        (["-o", "g.pt2", "--format", "onnx"], "must be named g.onnx, not g.pt2"),
        (["--format", "onxx"], "Did you mean 'onnx'?"),
        (["-o", "nowhere/g.pt2"], "does not exist"),
        (["-o", "folder.pt2"], "is a folder"),
        (["--checkpoint", 7, "-o", "g.pt2"], "no checkpoint of step 7"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(ganzoo, trained, workplace, arguments, complaint):
    (workplace / "folder.pt2").mkdir()
    result = ganzoo("export", trained, *arguments)
    assert result.code == 2
    assert complaint in result.err


def test_without_its_libraries_onnx_is_refused_and_torch_works(ganzoo, trained, workplace, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export.missing() == ["onnxruntime"]
    result = ganzoo("export", trained, "-o", "g.onnx")
    assert result.code == 2
    assert 'onnxruntime, which is not installed: pip install "torch-ganzoo[export]"' in result.err
    assert ganzoo("export", trained, "-o", "g.pt2").code == 0


def test_a_model_can_be_checked_without_writing_a_file(tmp_path):
    run = a_run(Everything, tmp_path)
    inputs = run.model.generator_inputs(
        {"image": torch.zeros(3, 1, 8, 8), "source": torch.rand(3, 1, 8, 8)}, torch.Generator()
    )
    assert "differs by at most" in export.check(run.model, inputs)
    assert list(tmp_path.iterdir()) == []
