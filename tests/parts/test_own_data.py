"""Pictures as people have them: archives, files of labels, stacks, transparency, other shapes, many levels."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_images.folder import Folder
from ganzoo_images.views import Masked
from PIL import Image

import ganzoo as package
from ganzoo import UsageError

SHORT = {"train.sample_count": 4, "train.evaluate_every": 0, "model.width": 4, "model.discriminator_width": 4}


@pytest.fixture(autouse=True)
def cache(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))


def write(path, pixels):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)


def flat(level, height=8, width=8, channels=3):
    return np.full((height, width, channels)[: 3 if channels > 1 else 2], level, np.uint8)


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_pictures_need_not_be_square(ganzoo):
    rng = np.random.default_rng(0)
    for i in range(8):
        write(f"wide/{i}.png", rng.integers(0, 256, (40, 60, 3), np.uint8))
    settings = {**SHORT, "data.size": "16x32"}
    run = package.train("dcgan", data="wide", steps=2, batch_size=4, settings=settings, device="cpu", out="run")
    assert run.sample(3).shape == (3, 3, 16, 32)
    assert ganzoo("resume", "run", "--steps", 3).code == 0
    assert ganzoo("run", "dcgan", "--data", "wide", "--set", "data.size=16x", "--out", "x").code == 2


@pytest.mark.parametrize(
    ("fit", "first", "last"),
    [("crop", (60, 0, 0), (180, 0, 0)), ("stretch", (0, 0, 0), (240, 0, 0)), ("pad", (255,) * 3, (255,) * 3)],
)
def test_the_center_is_cut_padded_or_stretched_to_the_proportions(fit, first, last):
    """A square of four columns becomes twice as high as wide."""
    columns = np.repeat(np.array([0, 60, 180, 240], np.uint8), 10)
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[..., 0] = columns
    write("square/a.png", pixels)
    image = Folder(path="square", size="8x4", fit=fit, channels="color")[0]["image"]
    assert image.shape == (3, 8, 4)
    if fit != "pad":  # the outermost pixels of a sharp edge ring a little
        assert (image[:, 4, 0].int() - torch.tensor(first)).abs().max() <= 8
        assert (image[:, 4, 3].int() - torch.tensor(last)).abs().max() <= 8
    else:
        assert image[:, 0].unique().tolist() == [255]
        assert image[0, 2:6].min() < 40


@pytest.mark.parametrize("size", ["64*128", "x64", "3x64", "64x5000", 0.5, -1, "12x12x12", ""])
def test_other_sizes_are_refused(size):
    write("a/a.png", flat(0))
    with pytest.raises((UsageError, ValueError), match=r"size|Input"):
        package.train("dcgan", data="a", steps=1, settings={**SHORT, "data.size": size}, out="run")
    assert not Path("run").exists()


# --- transparency -----------------------------------------------------------------------------------------------------


def test_transparency_is_learned_if_asked_for(ganzoo):
    rng = np.random.default_rng(0)
    for i in range(60):
        pixels = np.zeros((16, 16, 4), np.uint8)
        pixels[4:12, 4:12] = [*rng.integers(0, 256, 3), 255]
        write(f"sprites/{i}.png", pixels)
    dataset = Folder(path="sprites", size=16, channels="alpha")
    assert dataset.fields["image"].shape == (4, 16, 16)
    assert dataset[0]["image"][3].unique().tolist() == [0, 255]
    settings = {**SHORT, "data.size": 16, "data.channels": "alpha", "train.sample_every": 1}
    run = package.train("dcgan", data="sprites", steps=2, batch_size=8, settings=settings, device="cpu", out="run")
    assert list(Path("run/samples").glob("fake-*.png"))
    assert ganzoo("sample", "run", "-n", 2, "-o", "drawn").code == 0
    with Image.open("drawn/00000.png") as image:
        assert (image.mode, image.size) == ("RGBA", (16, 16))
    assert ganzoo("sample", "run", "-n", 2, "-o", "grid.png").code == 0
    (score,) = run.evaluate("kd-pyramid")  # on white
    assert score["value"] > 0


def test_transparent_pictures_are_put_on_white():
    opacity = torch.tensor([-1.0, 0, 1]).view(3, 1, 1, 1)
    samples = torch.cat([torch.full((3, 3, 1, 1), -1.0), opacity], 1)
    assert package.images.on_white(samples).flatten(1)[:, 0].tolist() == [1, 0, -1]
    stored = torch.tensor([0, 0, 0, 51], dtype=torch.uint8).view(1, 4, 1, 1)
    assert package.images.on_white(stored).flatten().tolist() == [204] * 3


# --- stacks and levels ------------------------------------------------------------------------------------------------


def test_every_page_of_a_tiff_is_a_picture_except_smaller_versions(capsys):
    frames = [Image.fromarray(flat(level, channels=1)) for level in (10, 20, 30)]
    Path("stack").mkdir()
    frames[0].save("stack/b.tif", save_all=True, append_images=frames[1:])
    write("stack/a.png", flat(5, channels=1))
    dataset = Folder(path="stack", size=8)
    assert dataset.tensors()["image"][:, 0, 0, 0].tolist() == [5, 10, 20, 30]
    assert len(Folder(path="stack", size=8, pages="first")) == 2
    again = Folder(path="stack", size=8)
    assert again.fingerprint() == dataset.fingerprint()


def test_pages_in_subfolders_have_the_class_of_their_file():
    for name in ("cat", "dog"):
        Path("two", name).mkdir(parents=True)
        frames = [Image.fromarray(flat(level, channels=1)) for level in (10, 20)]
        frames[0].save(f"two/{name}/x.tiff", save_all=True, append_images=frames[1:])
    assert Folder(path="two", size=8).tensors()["label"].tolist() == [0, 0, 1, 1]


def test_levels_are_measured_over_the_whole_set(capsys):
    for name, levels in (("a", (100, 300)), ("b", (500, 1100))):
        pixels = np.array(levels, np.uint16).repeat(32).reshape(8, 8)
        Path("scans").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(f"scans/{name}.png")
    dataset = Folder(path="scans", size=8, range="measured")
    first, second = dataset.tensors()["image"][:, 0]
    assert [first[0, 0], first[7, 0], second[0, 0], second[7, 0]] == [0, 51, 102, 255]
    assert "Black is 100, white is 1100: the same as data.range = [100, 1100]" in capsys.readouterr().err
    same = Folder(path="scans", size=8, range=(100, 1100))
    assert torch.equal(same.tensors()["image"], dataset.tensors()["image"])


def test_levels_of_float_and_signed_pictures_are_measured():
    Path("f").mkdir()
    values = np.linspace(-2, 6, 64, dtype=np.float32).reshape(8, 8)
    values[0, 1] = np.nan
    Image.fromarray(values).save("f/a.tif")
    image = Folder(path="f", size=8, range="measured")[0]["image"][0]
    assert (image[0, 0], image[7, 7]) == (0, 255)
    write("eight/a.png", flat(3))
    with pytest.raises(UsageError, match=r"no gray pictures with more than 8 bits"):
        Folder(path="eight", size=8, range="measured")


def test_very_large_pictures_are_refused_until_they_are_allowed():
    write("large/a.png", flat(0, 50, 100, 1))
    write("large/b.png", flat(0, 5, 5, 1))
    with pytest.raises(UsageError, match=r"a\.png \(it has very many pixels; .* data\.max_pixels = N\)"):
        Folder(path="large", size=8, max_pixels=1000, broken="stop")


# --- classes from files -----------------------------------------------------------------------------------------------

NAMED = "filename,label\na.png,cat\nsub/b.png,dog\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", NAMED),
        ("labels.csv", "label,file\ncat,a.png\ndog,sub/b.png\n"),
        ("labels.csv", "a.png,cat\nsub\\b.png,dog\n"),
        ("labels.csv", "\ufeffid,breed\na,cat\nb,dog\n"),  # without suffixes and folders
        ("dataset.json", json.dumps({"labels": [["a.png", "cat"], ["sub/b.png", "dog"]]})),
        ("dataset.json", json.dumps({"labels": {"a.png": "cat", "sub/b.png": "dog"}})),
    ],
)
def test_a_file_of_labels(name, content, capsys):
    write("x/a.png", flat(1, channels=1))
    write("x/sub/b.png", flat(2, channels=1))
    write("x/other.png", flat(3, channels=1))
    Path("x", name).write_text(content, encoding="utf-8")
    dataset = Folder(path="x", size=8, labels=None if name == "dataset.json" else name)
    assert dataset.fields["label"].class_names == ("cat", "dog")
    assert [(int(p[0, 0, 0]), int(label)) for p, label in zip(*dataset.tensors().values(), strict=True)] == [
        (1, 0),
        (2, 1),
    ]
    assert "1 without a label" in capsys.readouterr().err


def test_numbers_as_classes_are_in_the_order_of_numbers():
    for i in range(12):
        write(f"x/{i}.png", flat(i, channels=1))
    Path("x/dataset.json").write_text(json.dumps({"labels": [[f"{i}.png", i] for i in range(12)]}))
    dataset = Folder(path="x", size=8)
    assert dataset.fields["label"].class_names == tuple(map(str, range(12)))
    assert all(int(p[0, 0, 0]) == label for p, label in zip(*dataset.tensors().values(), strict=True))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "it is empty"),
        ("a.png\n", "a line has no second column"),
        ("z.png,cat\n", "none of the 1 pictures in x is in the file of labels"),
        (None, "cannot read"),
        (b"\xff\xfe\x00", "is no file of labels"),
    ],
)
def test_files_that_are_no_labels_are_refused(content, complaint):
    write("x/a.png", flat(1))
    if content is not None:
        Path("l.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=complaint):
        Folder(path="x", size=8, labels="l.csv")


def test_a_dataset_json_without_labels_is_ignored():
    write("x/a.png", flat(1))
    Path("x/dataset.json").write_text('{"labels": null}')
    assert "label" not in Folder(path="x", size=8).fields


# --- archives ---------------------------------------------------------------------------------------------------------


def archive(name, top="", **more):
    with zipfile.ZipFile(name, "w") as file:
        for kind in ("cat", "dog"):
            for i in range(5):
                write("one.png", flat(10 * i))
                file.write("one.png", f"{top}{kind}/{i}.png")
        for path, content in more.items():
            file.writestr(path, content)
    Path("one.png").unlink()


@pytest.mark.parametrize("top", ["", "photos/"])
def test_an_archive_is_opened_like_a_folder(ganzoo, top):
    archive("photos.zip", top, **{"__MACOSX/cat/._0.png": b"x", "readme.txt": b"x"})
    settings = [text for name, value in SHORT.items() for text in ("--set", f"{name}={value}")]
    options = ["--steps", 2, "--batch-size", 4, "--device", "cpu", "--set", "data.size=16", *settings]
    result = ganzoo("run", "dcgan", "--data", "photos.zip", *options)
    assert result.code == 0, result.err
    assert "Unpacking 10 files of" in result.err
    assert "dcgan-photos: data folder (10, 2 classes: cat, dog)" in result.out
    again = ganzoo("run", "dcgan", "--data", "photos.zip", *options)
    assert "Unpacking" not in again.err
    (folder, _) = Path("runs/dcgan-photos").iterdir()
    assert ganzoo("resume", folder, "--steps", 3).code == 0


def test_members_never_leave_the_folder(workplace):
    archive("bad.zip", **{"../../escaped.png": b"x", "/absolute.png": b"x"})
    assert len(Folder(path="bad.zip", size=8)) == 10
    assert not [path for path in workplace.parent.rglob("escaped.png") if "zips" not in path.parts]


def test_damaged_archives_are_refused():
    Path("no.zip").write_bytes(b"PK no")
    with pytest.raises(UsageError, match=r"no\.zip cannot be unpacked: File is not a zip file"):
        Folder(path="no.zip", size=8)
    archive("cut.zip")
    Path("cut.zip").write_bytes(Path("cut.zip").read_bytes()[:-10])
    with pytest.raises(UsageError, match="cannot be unpacked"):
        Folder(path="cut.zip", size=8)


def test_an_archive_is_unpacked_once_by_several_at_once():
    archive("photos.zip")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: len(Folder(path="photos.zip", size=8)), range(4)))
    assert found == [10] * 4


def test_archives_with_damaged_members_are_refused():
    archive("photos.zip")
    content = bytearray(Path("photos.zip").read_bytes())
    content[45:70] = bytes(25)
    Path("photos.zip").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be unpacked"):
        Folder(path="photos.zip", size=8)


def test_levels_are_the_same_in_all_splits():
    for split, top in (("train", 4000), ("test", 1000)):
        Path("s", split).mkdir(parents=True)
        Image.fromarray(np.linspace(0, top, 64).astype(np.uint16).reshape(8, 8)).save(f"s/{split}/a.png")
    darker = Folder(path="s", size=8, range="measured", split="test")
    assert int(darker[0]["image"].max()) == 64


def test_a_header_and_other_files_are_no_classes():
    write("x/a.png", flat(1))
    Path("x/l.csv").write_text("photo,species\na.png,cat\ngone.png,dog\n")
    assert Folder(path="x", size=8, labels="l.csv").fields["label"].class_names == ("cat",)


def test_max_pixels_may_be_raised_after_a_refusal():
    write("large/a.png", flat(0, 50, 100, 1))
    write("large/b.png", flat(0, 5, 5, 1))
    limit = Image.MAX_IMAGE_PIXELS
    assert len(Folder(path="large", size=8, max_pixels=1000)) == 1
    assert len(Folder(path="large", size=8, max_pixels=5000)) == 2
    assert limit == Image.MAX_IMAGE_PIXELS


def test_padding_is_no_hole():
    content = io.BytesIO()
    Image.fromarray(flat(0, 16, 32)).save(content, "PNG")
    options = {"fit": "pad", "background": "white"}
    shown = Masked.decode_input(content.getvalue(), package.Field((3, 16, 16)), options)
    assert shown[0, 0, 0] == 1
