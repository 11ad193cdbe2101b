"""A table of people: numbers and categories, read from a CSV file and sampled as one.

Papers: Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, https://arxiv.org/abs/1611.01144
    y = softmax((logits + g) / temperature), g = -log(-log u), u uniform in (0, 1)                       (equation 2)
Xu et al., "Modeling Tabular data using Conditional GAN", 2019, https://arxiv.org/abs/1907.00503: the idea
Departures: two perceptrons and the non-saturating loss; a number is scaled to mean 0 and deviation 1, without modes.
"""

import csv
import io
import math
from pathlib import Path
from typing import Annotated

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

import ganzoo
from ganzoo import LatentDim, Model, Option, TensorDataset, UsageError, testing
from tests import toys
from tests.outside import assert_a_stop_changes_nothing, zoo_with

PARTS = {"datasets": {"people": "People"}, "models": {"tabular": "Tabular"}}
FIRST = "age,city,height,likes\n"
CITIES, PETS = ["Bern", "Oslo", "Rom"], ["cats", "dogs"]
ROWS = [f"{20 + n % 40},{CITIES[n % 3]},{1.5 + n % 9 / 20},{PETS[n % 2]}" for n in range(64)]


class People(TensorDataset):
    """The rows of a CSV file. A column that is not all numbers has categories, one unit each."""

    formats = (".csv",)
    location_options = ("path",)

    def __init__(self, *, path: Annotated[str, Option("The CSV file; its first line names the columns")]) -> None:
        with Path(path).open(newline="") as file:
            names, *rows = csv.reader(file)
        columns, parts = [], []
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            try:
                numbers = torch.tensor([float(value) for value in values])
            except ValueError:
                categories = sorted(set(values))
                columns.append({"name": name, "categories": categories})
                parts.append(one_hot(torch.tensor([categories.index(v) for v in values]), len(categories)).float())
            else:
                mean, deviation = numbers.mean().item(), numbers.std().item() or 1.0
                columns.append({"name": name, "mean": mean, "deviation": deviation})
                parts.append((numbers[:, None] - mean) / deviation)
        row = torch.cat(parts, 1)  # (n, units)
        super().__init__({"row": row}, meta={"row": {"columns": columns}})

    @classmethod
    def encode(cls, sample, field, format):  # noqa: A002
        columns = field.meta["columns"]
        writer = csv.writer(file := io.StringIO(), lineterminator="\n")
        writer.writerow(column["name"] for column in columns)
        for row in sample:
            parts = row.split(widths(columns))
            writer.writerow(in_words(column, part) for column, part in zip(columns, parts, strict=True))
        return file.getvalue().encode()


def widths(columns):
    return [len(column.get("categories", [1])) for column in columns]


def in_words(column, part):
    if "categories" in column:
        return column["categories"][part.argmax()]
    return f"{part.item() * column['deviation'] + column['mean']:.2f}"


class Tabular(Model):
    """Two perceptrons for tables. Categories are drawn with Gumbel noise, which is a latent, so that it is known."""

    batch_dependent = False
    latent_distributions = {"z": "normal", "u": "uniform"}

    def __init__(
        self,
        fields,
        *,
        latent_dim: LatentDim = 8,
        temperature: Annotated[float, Option("Smoothness of the categories", gt=0)] = 0.5,
    ) -> None:
        super().__init__(fields)
        field = fields[self.target]
        if "columns" not in field.meta:
            raise ValueError("it needs a table: a dataset whose target has 'columns' in its meta")
        self.columns, self.latent_dim, self.temperature = field.meta["columns"], latent_dim, temperature
        (self.units,) = field.shape
        self.generator = nn.Sequential(nn.Linear(latent_dim, 32), nn.ReLU(), nn.Linear(32, self.units))
        self.discriminator = nn.Sequential(nn.Linear(self.units, 32), nn.ReLU(), nn.Linear(32, 1))

    def sample_latent(self, n, rng):
        z = torch.randn(n, self.latent_dim, generator=rng, device=rng.device)
        return {"z": z, "u": 2 * torch.rand(n, self.units, generator=rng, device=rng.device) - 1}

    def generate(self, latent):
        gumbel = -(-((latent["u"] + 1) / 2).clamp(1e-6, 1 - 1e-6).log()).log()
        made = self.generator(latent["z"])
        parts = zip(self.columns, *(x.split(widths(self.columns), 1) for x in (made, gumbel)), strict=True)
        return torch.cat(
            [self.chosen(part + noise) if "mean" not in column else part for column, part, noise in parts], 1
        )

    def chosen(self, logits):
        return (logits / self.temperature).softmax(1)

    def discriminate(self, sample, condition):
        return {"score": self.discriminator(sample)}


@pytest.fixture
def zoo(install, toy_zoo):
    return zoo_with(install, __name__, PARTS)


@pytest.fixture
def recipe(workplace):
    (workplace / "people.in.csv").write_text(FIRST + "\n".join(ROWS))
    return toys.recipe("tabular", data="people").with_setting("data.path", "people.in.csv")


def test_a_table_conforms(zoo, recipe):
    testing.check(recipe, zoo=zoo)


def test_rows_are_decoded_as_they_were_read(zoo, recipe):
    people = People(path="people.in.csv")
    assert people.fields["row"].shape == (1 + 3 + 1 + 2,)
    lines = People.encode(people.tensors()["row"][:2], people.fields["row"], ".csv").decode().splitlines()
    assert lines == ["age,city,height,likes", "20.00,Bern,1.50,cats", "21.00,Oslo,1.55,dogs"]


def test_categories_are_the_softmax_of_logits_and_gumbel_noise(zoo, recipe):
    model = Tabular(People(path="people.in.csv").fields)
    u = torch.tensor([[0.0] * 6 + [2 / torch.e - 1]])
    for parameter in model.generator.parameters():
        parameter.data.zero_()
    sample = model.generate({"z": torch.zeros(1, 8), "u": u})[0]
    assert sample[:5].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0])
    odds = torch.log(torch.tensor(2.0)) ** 2  # exp((0 + log log 2) / 0.5), as the other noise is 0
    assert (sample[6] / sample[5]).item() == pytest.approx(odds.item(), rel=1e-5)


def test_people_are_sampled_as_a_table_when_the_data_are_gone(zoo, recipe, ganzoo, workplace):
    run = assert_a_stop_changes_nothing(recipe, zoo, workplace)
    (workplace / "people.in.csv").unlink()
    assert ganzoo("sample", run.directory, "-n", 5, "-o", "people.csv").code == 0
    rows = list(csv.DictReader((workplace / "people.csv").read_text().splitlines()))
    assert len(rows) == 5
    for row in rows:
        assert list(row) == ["age", "city", "height", "likes"]
        assert row["city"] in CITIES
        assert row["likes"] in PETS
        assert all(math.isfinite(float(row[name])) for name in ("age", "height"))
    assert ganzoo("sample", run.directory, "-o", "people.npz").code == 0


def test_a_model_for_tables_refuses_pictures(zoo):
    with pytest.raises(UsageError, match="needs a table"):
        ganzoo.train(toys.recipe("tabular"), steps=1, zoo=zoo)
