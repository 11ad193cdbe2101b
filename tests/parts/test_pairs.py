"""A user's own pairs: the layouts, what belongs together, what is passed over, and the views of a folder."""

import pickle
from pathlib import Path

import pytest
import torch
from ganzoo_images import pairs
from ganzoo_images.pairs import Pairs
from ganzoo_images.views import HOLE, LowResolution, Masked
from PIL import Image

import ganzoo as package
from ganzoo import UsageError, Zoo
from ganzoo.training.fit import needed_fields
from ganzoo.training.opening import with_data

COLOR = (200, 100, 0)
SHORT = {"model.width": 4, "model.discriminator_width": 4, "train.sample_count": 4, "data.size": 32}


@pytest.fixture(autouse=True)
def _folder(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))


def write(path: str, level: int | tuple[int, int, int], right: int | None = None, size: tuple[int, int] = (10, 10)):
    """Write a picture of one level; or of two, side by side."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("L" if isinstance(level, int) else "RGB", size, level)
    if right is not None:
        wide = Image.new("L", (2 * size[0], size[1]), right)
        wide.paste(picture, (0, 0))
        picture = wide
    picture.save(path)


def levels(dataset: Pairs) -> list[tuple[int, int]]:
    """The levels of each (source, image). Checks that tensors() and [i] agree."""
    stored = dataset.tensors()
    assert len(dataset) == len(stored["image"]) == len(stored["source"])
    assert all(torch.equal(dataset[i][name], stored[name][i]) for i in range(len(dataset)) for name in stored)
    return [(int(dataset[i]["source"].max()), int(dataset[i]["image"].max())) for i in range(len(dataset))]


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["A/{}/{}", "b/{}/{}", "{}/A/{}", "{}A/{}", "{}_A/{}"])
def test_pairs_of_equal_names_in_two_folders(names, capsys):
    other = names.replace("A", "B").replace("b", "a")
    for split, start in (("train", 10), ("val", 50), ("test", 90)):
        for i in range(4):
            write(names.format(split, f"{i}.png"), start + i)
            write(other.format(split, f"{i}.bmp"), start + 100 + i)
    options = {"path": ".", "size": 8, "paired": True}
    expected = [(10 + i, 110 + i) for i in range(4)]
    turned = names.startswith("b")  # there, A is the other folder
    assert levels(Pairs(**options)) == ([(image, source) for source, image in expected] if turned else expected)
    assert ", train: 4 pairs; A is the source." in capsys.readouterr().err
    back = Pairs(**options, direction="BtoA", split="validation")
    assert levels(back) == [(50 + i, 150 + i) if turned else (150 + i, 50 + i) for i in range(4)]
    tested = Pairs(**options, **Pairs.eval_options)
    assert len(tested) == 4
    assert {min(pair) for pair in levels(tested)} == {90, 91, 92, 93}
    validation = Pairs(**options, **Pairs.eval_options | Pairs.validation_options)
    assert {min(pair) for pair in levels(validation)} == {50, 51, 52, 53}


def test_pairs_side_by_side(capsys):
    for split, start in (("train", 10), ("val", 50)):
        for i in range(3):
            write(f"{split}/{i}.png", start + i, start + 100 + i, (12, 12))
    write("train/3.png", 200)
    assert levels(Pairs(path=".", size=8)) == [(10, 110), (11, 111), (12, 112)]
    said = capsys.readouterr().err
    assert said.count("3.png (it is not twice as wide as high (10x10))") == 1
    assert "(side by side), train: 3 pairs; the left half is the source." in said
    assert levels(Pairs(path=".", size=8, direction="BtoA")) == [(110, 10), (111, 11), (112, 12)]
    assert levels(Pairs(path=".", size=8, **Pairs.eval_options)) == [(50, 150), (51, 151), (52, 152)]


def test_without_folders_all_wide_pictures_train_and_that_is_said(capsys):
    for i in range(3):
        write(f"{i}.png", 10 + i, 110 + i)
    assert len(Pairs(path=".", size=8)) == 3
    assert "the training pictures are used" not in capsys.readouterr().err
    assert len(Pairs(path=".", size=8, **Pairs.eval_options)) == 3
    assert "no pictures for validation or testing: the training pictures are used" in capsys.readouterr().err


@pytest.mark.parametrize(("first", "second"), [(10, 7), (7, 10), (5, 5)])
def test_unpaired_sets_of_any_length(first, second, capsys):
    for i in range(first):
        write(f"trainA/{i}.png", i)
    for i in range(second):
        write(f"trainB/{i}.png", 100 + i)
    dataset = Pairs(path=".", size=8)
    found = levels(dataset)
    assert len(found) == max(first, second)
    assert {source for source, _ in found} == set(range(first))
    assert {image for _, image in found} == {100 + i for i in range(second)}
    assert not dataset.fields["source"].paired
    assert dataset.fields["image"].paired
    said = capsys.readouterr().err
    assert f"(trainA, trainB), train: {first} pictures in A and {second} in B, no pairs" in said
    assert "If these are pairs: --set data.paired=true" in said


def test_pairs_can_be_used_as_if_they_were_none():
    for i in range(20):
        write(f"A/{i:02d}.png", i)
        write(f"B/{i:02d}.png", 100 + i)
    dataset = Pairs(path=".", size=8, paired=False)
    assert all(image - source != 100 for source, image in levels(dataset))
    assert dataset.fingerprint() != Pairs(path=".", size=8).fingerprint()
    assert dataset.fingerprint() == Pairs(path=".", size=8, paired=False).fingerprint()


def test_what_has_no_partner_is_counted(capsys):
    for i in range(6):
        write(f"A/{i}.png", i)
    for i in range(2, 9):
        write(f"B/{i}.png", 100 + i)
    Path("A/5.png").write_bytes(b"broken")
    Path("A/notes.txt").touch()
    write("elsewhere/x.png", 1)
    assert levels(Pairs(path=".", size=8)) == [(2, 102), (3, 103), (4, 104)]
    said = capsys.readouterr().err
    assert "without a partner of the same name: 2 of A and 3 of B" in said
    assert "1 of 4 pictures in . cannot be read and are left out: A/5.png" in said
    assert "left out: 1 with .txt, 1 pictures outside of these folders" in said


def test_a_color_in_any_split_makes_one_side_color():
    for i in range(2):
        write(f"A/train/{i}.png", i)
        write(f"A/test/{i}.png", COLOR if i else 5)
        write(f"B/train/{i}.png", 100)
        write(f"B/test/{i}.png", 100)
    for split in ("train", "test"):
        fields = Pairs(path=".", size=8, split=split).fields
        assert (fields["source"].shape, fields["image"].shape) == ((3, 8, 8), (1, 8, 8))
    assert Pairs(path=".", size=8, channels="gray", split="test").fields["source"].shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (["1.png"], {}, r"not in a layout of pairs.*:\n  trainA/ trainB/ .*\n  A/ B/ .*\n  train/"),
        (["A/1.png", "cat/2.png"], {}, "not in a layout of pairs"),
        (["A/1.png", "B/2.png"], {}, "no picture of A has the name of one of B.*--set data.paired=false"),
        (["A/1.png", "B/1.png"], {"split": "test"}, r"has no pictures for that\. Available: train\."),
        (["trainA/1.png", "trainB/1.png", "testA/1.png"], {"split": "test"}, r"Available: train\."),
        (["A/1.png", "B/1.png"], {"range": (5.0, 1.0)}, "black must be lower"),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(files, options, message):
    for file in files:
        write(file, 1)
    with pytest.raises(UsageError, match=f"(?s){message}"):
        Pairs(path=".", size=8, **options)


def test_both_pictures_of_a_pair_are_mirrored_together():
    for i in range(64):
        write(f"A/{i:02d}.png", 10, 200, (4, 8))
        write(f"B/{i:02d}.png", 10, 200, (4, 8))

    def turned(**options):
        batch = (dataset := Pairs(path=".", size=8, mirror=True, **options)).prepare(dataset.tensors())
        return [batch[name][:, 0, 0, 0] > 0 for name in ("source", "image")]

    source, image = turned()
    assert torch.equal(source, image)
    assert 10 < source.sum() < 54
    source, image = turned(paired=False)
    assert not torch.equal(source, image)


def test_a_copy_in_another_process_and_sets_that_exceed_the_memory(monkeypatch):
    for i in range(3):
        write(f"A/{i}.png", i)
        write(f"B/{i}.png", 100 + i)
    dataset = Pairs(path=".", size=8)
    copy = pickle.loads(pickle.dumps(dataset))
    assert levels(copy) == levels(dataset) == [(0, 100), (1, 101), (2, 102)]
    monkeypatch.setattr(pairs, "memory", lambda: 3 * 2 * 64 * 2 - 1)
    assert Pairs(path=".", size=8).tensors() is None
    assert copy.fingerprint() == Pairs(path=".", size=8).fingerprint()


# --- which dataset opens a folder -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "model", "name", "opened"),
    [
        ("pix2pix", None, "pix2pix-x", "pairs"),
        ("cyclegan", None, "cyclegan-x", "pairs"),
        ("sngan", None, "sngan-x", "folder"),
        ("acgan", None, "acgan-x", "folder"),
        ("sngan", "pix2pix", "sngan-x", "pairs"),
        ("sngan", "unknown", "sngan-x", "folder"),
    ],
)
def test_a_folder_is_opened_by_the_dataset_with_the_fields_that_are_needed(recipe, model, name, opened):
    Path("x").mkdir()
    zoo = Zoo()
    recipe = zoo.find(recipe)
    needed = needed_fields(zoo, recipe.with_part("model", model) if model else recipe)
    chosen = with_data(zoo, recipe, "./x", needed)
    assert (chosen.name, chosen.data.name, chosen.data.options) == (name, opened, {"path": str(Path("x").absolute())})


def test_a_dataset_and_a_path():
    zoo = Zoo()
    chosen = with_data(zoo, zoo.find("pix2pix"), "masked=./x")
    assert (chosen.name, chosen.data.name, chosen.data.options["path"]) == (
        "pix2pix-x",
        "masked",
        str(Path("x").absolute()),
    )
    with pytest.raises(UsageError, match=r"Unknown dataset 'maskd'\. Did you mean 'masked'"):
        with_data(zoo, zoo.find("pix2pix"), "maskd=./x")
    Path("a=b").mkdir()
    assert with_data(zoo, zoo.find("pix2pix"), "a=b", {"source"}).data.options["path"] == str(Path("a=b").absolute())


# --- runs -------------------------------------------------------------------------------------------------------------


def test_pix2pix_learns_a_users_pairs_and_is_measured_on_those_held_out(ganzoo):
    for split, count in (("train", 8), ("test", 3)):
        for i in range(count):
            write(f"my pairs/A/{split}/{i}.png", 20 * i)
            write(f"my pairs/B/{split}/{i}.png", (200 - 20 * i, 0, 0))
    options = [text for name, value in SHORT.items() for text in ("--set", f"{name}={value}")]
    command = ["run", "pix2pix", "--data", "./my pairs", "--steps", 4, "--batch-size", 4, "--device", "cpu"]
    result = ganzoo(*command, *options, "--evaluate-every", 2, "--out", "run")
    assert result.code == 0, result.err
    assert "pix2pix-my-pairs: data pairs (8)" in result.out
    assert "sample    ganzoo sample run --input source=PICTURE" in result.out
    run = package.load("run")
    assert [record["metric"] for record in run.evaluations()] == ["l1", "l1"]
    assert {name: field.shape for name, field in run.fields.items()} == {"image": (3, 32, 32), "source": (1, 32, 32)}
    assert run.sample().shape == (3, 3, 32, 32)  # as many as there are for testing
    with pytest.raises(UsageError, match="'l1-back' needs samples of a model with 'translate_back', which"):
        run.evaluate("l1-back", n=3)
    assert ganzoo("resume", "run", "--steps", 5).code == 0


def test_cyclegan_learns_without_pairs_and_pix2pix_says_that_it_cannot(ganzoo):
    for i in range(50):
        write(f"two/trainA/{i}.png", 5 * i)
        write(f"two/trainB/x{i % 30}.png", (200 - 4 * i, 0, 0))
    settings = {**SHORT, "model.blocks": 1, "train.metrics": ["kd-pyramid"]}
    run = package.train("cyclegan", data="two", steps=2, evaluate_every=2, batch_size=4, settings=settings, out="run")
    assert {record["metric"] for record in run.evaluations()} == {"kd-pyramid"}
    names = {"kd-pyramid", "authenticity-pyramid"}  # no distance from a truth
    assert {record["metric"] for record in run.evaluate(extractor="pyramid")} == names
    with pytest.raises(UsageError, match="'l1' does not fit this dataset: its 'source' does not belong"):
        run.evaluate("l1", n=6)
    with pytest.raises(UsageError, match="model 'pix2pix' does not fit: it needs pairs"):
        package.train("pix2pix", data="two", steps=1, settings=SHORT, out="no")
    assert not Path("no").exists()


# --- views ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [LowResolution, Masked])
def test_views_are_evaluated_on_pictures_held_out(view, capsys):
    for i in range(3):
        write(f"train/{i}.png", 10)
    write("test/0.png", 20)
    assert len(view(path=".", size=8)) == 3
    assert len(view(path=".", size=8, **view.eval_options)) == 1
    assert len(view(path=".", size=8, **{**view.eval_options, **view.validation_options})) == 1
    assert len(view(path="test", size=8, **view.eval_options)) == 1
    assert "test has no pictures for validation or testing: the training pictures are used" in capsys.readouterr().err


def test_a_small_source():
    for i in range(4):
        write(f"{i}.png", 20 * i, 20 * i + 100, (6, 12))
    dataset = LowResolution(path=".", size=16, factor=4, mirror=True)
    assert list(dataset.fields) == ["image", "source"]
    assert dataset.fields["source"].shape == (1, 4, 4)
    batch = dataset.prepare(dataset.tensors())
    means = batch["image"].unflatten(3, (4, 4)).unflatten(2, (4, 4)).mean((3, 5))
    torch.testing.assert_close(batch["source"], means, atol=0.1, rtol=0)
    with pytest.raises(UsageError, match=r"data\.factor = 3 does not divide data\.size = 16"):
        LowResolution(path=".", size=16, factor=3)


@pytest.mark.parametrize("where", ["center", "random"])
def test_a_source_with_a_hole(where):
    for i in range(30):
        write(f"a/{i}.png", 10 + i)
    dataset = Masked(path=".", size=16, hole=where, share=0.5)
    assert list(dataset.fields) == ["image", "source", "label"]
    first, second = (dataset.prepare(dataset.tensors()) for _ in range(2))
    holes = [batch["source"] == HOLE for batch in (first, second)]
    assert all(hole.sum((1, 2, 3)).eq(64).all() for hole in holes)
    assert torch.equal(first["source"][~holes[0]], first["image"][~holes[0]])
    assert torch.equal(*holes) == (where == "center")
    fixed = Masked(path=".", size=16, hole=where, **Masked.eval_options)
    stored = fixed.tensors()
    whole = fixed.prepare(stored)["source"]
    alone = fixed.prepare({name: value[7:8] for name, value in stored.items()})["source"]
    assert torch.equal(whole[7:8], alone)
    places = len((whole == HOLE).flatten(1).unique(dim=0))
    assert places == 1 if where == "center" else places > 5
