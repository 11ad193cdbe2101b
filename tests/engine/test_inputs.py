"""What users bring to a trained image-to-image model: files, folders and tensors, without the training data."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo as package
from ganzoo import Field, Model, UsageError, images
from ganzoo.data import Dataset
from ganzoo.evaluation import inputs

SETTINGS = {"model.width": 4, "model.discriminator_width": 4, "train.sample_count": 2, "data.size": 16}


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """A run of pix2pix on gray sources and images in color of 16x16; its data are gone."""
    root = tmp_path_factory.mktemp("translator")
    for i in range(4):
        for side, color in (("A", 60 * i), ("B", (60 * i, 0, 90))):
            path = root / "data" / side / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L" if side == "A" else "RGB", (20, 20), color).save(path)
    settings = {**SETTINGS, "data.cache": str(root / "cache"), "data.fit": "pad", "data.background": "black"}
    package.train(
        "pix2pix", data=root / "data", steps=2, batch_size=2, device="cpu", settings=settings, out=root / "run"
    )
    shutil.rmtree(root / "data")
    return root / "run"


def write(path: str, shade: int, size: tuple[int, int] = (16, 16)) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)
    return Path(path)


def test_a_file_is_treated_as_the_data_of_the_run(translator, workplace):
    path = write("wide.png", 255, (32, 16))
    run = package.load(translator)
    read = run.read_inputs({"source": path})
    assert read.values["source"].shape == (1, 1, 16, 16)
    assert read.values["source"][0, 0, :, 8].sign().tolist() == [-1] * 4 + [1] * 8 + [-1] * 4  # padded with black
    expected = run.model.generate({"source": read.values["source"]}).detach()
    for given in (path, str(path), [path], read.values["source"], read.values["source"][0]):
        assert torch.equal(run.sample(inputs={"source": given}), expected)
    assert torch.equal(run.sample(inputs=read), expected)
    as_bytes = images.to_bytes(read.values["source"])
    torch.testing.assert_close(run.sample(inputs={"source": as_bytes}), expected)


def test_a_folder_is_read_by_name_and_what_is_no_picture_is_said(translator, workplace, capsys):
    for i in (2, 0, 1):
        write(f"drawings/{i}.png", 100 * i)
    Path("drawings/notes.txt").write_text("no picture")
    Path("drawings/.hidden").touch()
    Path("drawings/to-nothing").symlink_to("nothing")
    Path("drawings/more").mkdir()
    run = package.load(translator)
    read = run.read_inputs({"source": ["drawings", write("last.png", 7)]})
    assert read.names == ["0", "1", "2", "last"]
    shades = images.to_bytes(read.values["source"])[:, 0, 0, 0].tolist()
    assert shades == [0, 100, 200, 7]
    said = capsys.readouterr().err
    assert (
        "2 of 5 files cannot be read and are left out: notes.txt (cannot identify image file); to-nothing (it is not"
        in said
    )
    assert "1 subfolders of drawings are not searched" in said
    assert run.sample(inputs=read).shape == (4, 3, 16, 16)


def test_one_input_serves_many_samples_and_several_are_as_many(translator, workplace):
    run, path = package.load(translator), write("a.png", 9)
    assert run.sample(3, inputs={"source": path}).shape == (3, 3, 16, 16)
    many = torch.rand(5, 1, 16, 16)
    assert torch.equal(run.sample(5, inputs={"source": many}), run.sample(inputs={"source": many}))
    with pytest.raises(UsageError, match="There are 5 inputs: leave out the number of samples"):
        run.sample(4, inputs={"source": many})


def test_other_sizes_are_tried(translator, workplace, ganzoo):
    run, path = package.load(translator), write("a.png", 9, (48, 32))
    assert run.sample(inputs=run.read_inputs({"source": path}, 64)).shape == (1, 3, 64, 64)
    assert run.sample(inputs=run.read_inputs({"source": path}, inputs.OWN)).shape == (1, 3, 32, 48)
    assert ganzoo("sample", translator, "--input", "source=a.png", "--input-size", "own", "-o", "own.png").code == 0
    assert Image.open("own.png").size == (2 * 50 + 2, 32 + 4)
    write("odd.png", 9, (22, 18))
    result = ganzoo("sample", translator, "--input", "source=odd.png", "--input-size", "own", "-o", "odd-out.png")
    assert result.code == 2
    assert "The model Pix2Pix cannot take source 1x18x22: RuntimeError: Sizes of tensors must match" in result.err
    assert not Path("odd-out.png").exists()
    with pytest.raises(UsageError, match=r"differ in size: 1x18x22, 1x32x48\. Give one at a time"):
        run.read_inputs({"source": ["a.png", "odd.png"]}, inputs.OWN)


def test_inputs_and_results_are_side_by_side_in_a_grid(translator, workplace, ganzoo):
    for i in range(3):
        write(f"in/{i}.png", 100 * i)
    result = ganzoo("sample", translator, "--input", "source=in", "-o", "grid.png")
    assert result.code == 0, result.err
    assert "3 samples of step 2: grid.png" in result.out
    picture = np.asarray(Image.open("grid.png"))
    assert picture.shape == (3 * 18 + 2, 2 * 18 + 2, 3)
    outputs = package.load(translator).sample(inputs={"source": "in"})
    for i in range(3):
        rows = slice(18 * i + 2, 18 * i + 18)
        assert (picture[rows, 2:18] == 100 * i).all()
        assert (
            np.abs(picture[rows, 20:36] - images.to_bytes(outputs)[i].permute(1, 2, 0).numpy().astype(int)).max() <= 1
        )


def test_results_in_a_folder_have_the_names_of_their_inputs(translator, workplace, ganzoo):
    write("in/cat.png", 1), write("in/dog.bmp", 2), write("other/cat.png", 3)
    assert ganzoo("sample", translator, "--input", "source=in", "-o", "out").code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["cat.png", "dog.png"]
    twice = ["--input", "source=in", "--input", "source=other/cat.png"]
    assert ganzoo("sample", translator, *twice, "-o", "both").code == 0
    assert sorted(path.name for path in Path("both").iterdir()) == ["cat-00000.png", "cat-00002.png", "dog-00001.png"]
    assert ganzoo("sample", translator, "--input", "source=in/cat.png", "-n", 2, "-o", "many").code == 0
    assert sorted(path.name for path in Path("many").iterdir()) == ["cat-00000.png", "cat-00001.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "sorce=a.png"], "Unknown input 'sorce'. Did you mean 'source'?"),
        (["--input", "a.png"], "--input 'a.png' must be FIELD=PATH, such as --input source=picture.png."),
        (["--input", "source=b.png"], "There is no file or folder b.png. Did you mean 'a.png'?"),
        (["--input", "source=text.png"], "The input 'source' cannot be read from text.png: text.png (cannot identify"),
        (["--input", "source=empty"], "The folder empty has no files."),
        (["--input", "source=a.png", "--input-size", "big"], "--input-size must be a number of pixels"),
        (["--input-size", "64"], "--input-size is the size of your own inputs: give some with --input."),
        ([], "there is no folder"),
    ],
)
def test_mistakes_are_named(translator, workplace, ganzoo, arguments, message):
    write("a.png", 1)
    Path("text.png").write_text("no picture")
    Path("empty").mkdir()
    result = ganzoo("sample", translator, *arguments, "-o", "out.png")
    assert result.code == 2
    assert message in result.err
    assert not Path("out.png").exists()


def test_a_model_without_inputs_says_so(trained, ganzoo):
    result = ganzoo("sample", trained, "--input", "source=a.png")
    assert result.code == 2
    assert "takes no inputs: its samples come from noise alone" in result.err


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 16, 16), "must have 1 channels, not 3"),
        ((16, 16), r"must have the shape \(n, \*\(1, 16, 16\)\), not \(16, 16\)"),
        ((0, 1, 16, 16), "must have the shape"),
    ],
)
def test_tensors_of_another_shape_are_refused(translator, shape, message):
    with pytest.raises(UsageError, match=message):
        package.load(translator).sample(inputs={"source": torch.zeros(shape)})


@pytest.mark.parametrize("wrong", [5, [], None, [torch.zeros(1, 16, 16)], {"a.png": 1}])
def test_what_is_no_input_is_refused(translator, wrong):
    with pytest.raises(UsageError, match="must be a tensor, a path, or paths"):
        package.load(translator).sample(inputs={"source": wrong})
    for number in (-255.0, float("nan")):
        with pytest.raises(UsageError, match=r"must be in \[-1, 1\], or bytes \(uint8\); its values reach"):
            package.load(translator).sample(inputs={"source": torch.full((1, 1, 16, 16), number)})


class Two(Model):
    """The mean of two pictures and noise; one of the conditions is the target."""

    condition_fields = ("image", "style")

    def sample_latent(self, n, rng):
        return {"z": torch.randn(n, 1, 1, 1, generator=rng)}

    def generate(self, latent):
        return (latent["image"] + latent["style"]) / 2 + latent["z"]


def test_several_inputs_and_noise():
    fields = {name: Field((1, 4, 4)) for name in ("image", "style")}
    model, device = Two(fields), torch.device("cpu")
    image, style = torch.rand(300, 1, 4, 4), torch.rand(1, 4, 4)
    read = inputs.read({"image": image, "style": style}, model, fields, Dataset, {})
    rng = torch.Generator().manual_seed(0)
    made = torch.cat([sample for sample, _ in inputs.generated(model, read, 300, rng, device, fields["image"], {})])
    noise = made - (image + style) / 2
    assert noise.flatten(1).std(1).max() < 1e-5
    assert len(noise[:, 0, 0, 0].unique()) > 290
    with pytest.raises(UsageError, match=r"also needs the input 'style'\. It takes: image, style\."):
        inputs.read({"image": image}, model, fields, Dataset, {})
    with pytest.raises(UsageError, match="There are 2 inputs 'style', but 300 of another field"):
        inputs.read({"image": image, "style": torch.rand(2, 1, 4, 4)}, model, fields, Dataset, {})


def test_a_dataset_decodes_pictures_by_default(workplace):
    content = write("a.png", 255, (40, 20)).read_bytes()
    assert torch.equal(Dataset.decode_input(content, Field((3, 8, 4)), {}), torch.ones(3, 8, 4))
    assert Dataset.decode_input(content, Field((1, -1, -1)), {}).shape == (1, 20, 40)
    for shape, given in (((2, 8, 8), content), ((5,), content), ((1, 8, 8), b"text")):
        with pytest.raises(ValueError, match=r"a picture has the shape|not a picture that can be read"):
            Dataset.decode_input(given, Field(shape), {})


def test_a_picture_of_a_pair_side_by_side_is_remarked_on(workplace, ganzoo):
    for i in range(3):
        pair = Image.new("L", (32, 16), 60 * i)
        pair.paste(200, (16, 0, 32, 16))
        Path("pairs").mkdir(exist_ok=True)
        pair.save(f"pairs/{i}.png")
    settings = {**SETTINGS, "data.cache": "cache", "data.direction": "BtoA"}
    package.train("pix2pix", data="pairs=pairs", steps=1, batch_size=2, device="cpu", settings=settings, out="run")
    write("drawings/one.png", 90)
    for name in ("wide", "wider"):
        write(f"drawings/{name}.png", 90, (32, 16))
    result = ganzoo("sample", "run", "--input", "source=drawings", "-o", "out")
    assert result.code == 0, result.err
    assert result.err.count("it is twice as wide as high") == 1
    assert "drawings/wide.png, drawings/wider.png: it is twice" in result.err
    assert "If it is a pair too, cut out its right half, which is the source, and give that." in result.err
    assert ganzoo("sample", "run", "--input", "source=drawings/one.png", "-o", "one.png").err == ""
