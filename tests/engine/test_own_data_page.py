"""The commands of docs/own-data.md, in their order, on small data; trainings are cut short."""

import re
import shlex
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parent.parent.parent / "docs/own-data.md"
SHORT = ["--steps", "2", "--batch-size", "4", "--device", "cpu", "--evaluate-every", "0"]
COMMANDS = [
    line.strip()
    for block in re.findall(r"^ *```\n(.*?)^ *```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    for line in block.splitlines()
]


@pytest.fixture
def data(workplace, monkeypatch):
    """What the page expects in the current folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    rng = np.random.default_rng(0)

    def picture(path, height=40, width=40):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path)

    for i in range(64):
        picture(f"photos/{'cat' if i % 2 else 'dog'}/{i}.png")
    rows = ["file,label"]
    for i in range(8):
        picture(f"flat/{i}.png")
        rows.append(f"{i}.png,{'cat' if i % 2 else 'dog'}")
        for side in "AB":
            picture(f"pairs/{side}/{i}.png")
            picture(f"unpaired/train{side}/{side}{i}.png")
    for i in range(2):
        Path("shards").mkdir(exist_ok=True)
        with tarfile.open(f"shards/train-{i:03d}.tar", "w") as tar:
            for j in range(64 * i, 64 * i + 64):
                Path("label").write_text(str(j % 2))
                tar.add(f"photos/{'cat' if j % 2 else 'dog'}/{j % 64}.png", f"{j:04d}.png")
                tar.add("label", f"{j:04d}.cls")
    photos = datasets.load_dataset("imagefolder", data_dir="photos", split="train", cache_dir="cache/hf")
    Path("parquet").mkdir()
    photos.to_parquet("parquet/train.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", workplace / "cache/hf")
    picture("drawing.png")
    Path("flat/labels.csv").write_text("\n".join(rows))
    people = ["name,age,city,joined"]
    for i in range(200):
        city = rng.choice(["Bern", "Basel", "Zug"])
        people.append(f"person {i},{rng.integers(18, 90)},{city},20{i % 20 + 10}-0{i % 9 + 1}-11")
    Path("people.csv").write_text("\n".join(people))
    np.save("waves.npy", np.sin(rng.random((40, 1, 2)) * 6 + np.arange(12)[:, None]).astype(np.float32))


def test_every_command_of_the_page_works(ganzoo, data):
    assert len(COMMANDS) > 20
    small = {"dcgan": ["--set", "model.width=4"], "acgan": ["--set", "model.discriminator_width=4"]}
    for line in COMMANDS:
        words = shlex.split(line)
        assert words[0] == "ganzoo", line
        if words[1] == "run":
            words += [*SHORT, *small.get(words[2], [])]
        if words[1] == "evaluate" and words[2] in ("my-photos", "my-shards", "made", "./photos"):
            words += ["--metrics", "kd-pyramid,authenticity-pyramid"]  # lite0 takes a minute
        result = ganzoo(*words[1:])
        assert result.code == 0, f"{line}\n{result.err}"
    for name in ("grid.png", "cats.png", "result.png", "translated.png", "my-photos/report.html", "photos.safetensors"):
        assert Path(name).stat().st_size, name
    assert Path("synthetic.csv").read_text().splitlines()[0] == "age,city,joined"
    assert len(Path("synthetic.csv").read_text().splitlines()) == 501
    assert np.load("synthetic.npy").shape == (100, 12, 2)
