"""Tables: what is found in a CSV file, rows and back, training by sampling, and what each metric punishes."""

import csv
import io
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_tables import modes
from ganzoo_tables.columns import Category, Constant, Number, columns_of, decode
from ganzoo_tables.data import Gapminder, Table
from ganzoo_tables.metrics import Associations, ClosestRecords, Marginals
from ganzoo_tables.prediction import TSTR

import ganzoo as package
from ganzoo import Samples, UsageError
from ganzoo.randomness import preserved

CITIES = ["Bern", "Oslo", 'The "Hague"', "Washington, D.C."]


def people(n=200, seed=0):
    """Rows of people: the income follows the job, and ages are missing now and then."""
    rng = random.Random(seed)
    rows = [["id", "name", "age", "income", "city", "job", "smoker", "born", "country", "notes"]]
    for number in range(n):
        job = rng.choice(["nurse", "baker", "engineer"])
        income = rng.gauss({"nurse": 3000, "baker": 2500, "engineer": 8000}[job], 300)
        age = "" if number % 17 == 3 else rng.randint(18, 80)
        city = CITIES[0] if rng.random() < 0.7 else rng.choice(CITIES)
        born = f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}.{rng.randint(1940, 2005)}"
        notes = "" if number % 4 else "two\nlines"
        rows.append([number + 1, f"P{number}", age, f"{income:.2f}", city, job, rng.randint(0, 1), born, "CH", notes])
    return rows


def write(path, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return str(path)


@pytest.fixture
def table(workplace):
    return Table(path=write(workplace / "people.csv", people()), split="all")


def samples(dataset, rows):
    return Samples(rows, {}, dataset, 0, None, lambda kind: rows)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_numbers_dates_and_categories_are_found_and_the_rest_is_said(workplace, capsys):
    table = Table(path=write(workplace / "people.csv", people()))
    kinds = {column.name: type(column) for column in table.columns}
    assert kinds == {
        "age": Number,
        "income": Number,
        "city": Category,
        "job": Category,
        "smoker": Category,
        "born": Number,
        "country": Constant,
        "notes": Category,
    }
    columns = {column.name: column for column in table.columns}
    assert columns["born"].format == "%d.%m.%Y"
    assert columns["age"].missing
    assert columns["age"].decimals == 0
    assert columns["income"].decimals == 2
    assert columns["notes"].categories == ["", "two\nlines"]
    said = capsys.readouterr().err
    assert "200 rows. Columns: numbers 2, dates 1, categories 4, always the same 1, left out 2" in said
    assert "'id' (an identifier: it counts the rows), 'name' (an identifier: no text occurs twice)" in said
    assert "'country' ('CH')" in said
    assert "12 in 'age', 150 in 'notes'" in said


def test_rows_are_decoded_as_they_were_read(table):
    """All of them, in the order of the shuffled dataset: so compare sorted lines."""
    text = Table.encode(table.tensors()["row"], table.fields["row"], ".csv").decode()
    names, *rows = csv.reader(io.StringIO(text, newline=""))
    assert names == [name for name in people()[0] if name not in ("id", "name")]
    expected = [[str(value) for value in row[2:]] for row in people()[1:]]
    assert sorted(rows) == sorted(expected)


def test_columns_survive_their_meta(table):
    assert columns_of(table.fields["row"]) == table.columns


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ("a;b\n" + "".join(f"{n}.5;x{n % 3}\n" for n in range(20)), ["number", "category"]),
        ("a;b\n" + "".join(f"{n},5;x{n % 3}\n" for n in range(20)), ["number", "category"]),
        ("\ufeffa\tb\r\n" + "".join(f"{n * n}\t{n % 2}\r\n" for n in range(20)), ["number", "category"]),
        ("a|b\n\n" + "".join(f"0{n % 7}|{n * n}\n" for n in range(20)), ["category", "number"]),
        ("a,b\n" + "".join(f"2020-01-{n + 1:02} 10:00:00,{n * n}\n" for n in range(20)), ["number", "number"]),
        ("a,b\n" + "".join(f"{n}e-9,{n * n}\n" for n in range(20)), ["number", "number"]),
    ],
)
def test_delimiters_decimal_commas_codes_and_dates_are_found(workplace, content, kinds):
    (workplace / "t.csv").write_text(content, encoding="utf-8", newline="")
    table = Table(path="t.csv", split="all")
    assert [column.kind for column in table.columns] == kinds
    first, *lines = Table.encode(table.tensors()["row"], table.fields["row"], ".csv").decode().splitlines()
    given = [line for line in content.removeprefix("\ufeff").splitlines() if line]
    assert first == given[0]
    if "e-9" not in content:
        assert sorted(lines) == sorted(given[1:])


def test_texts_that_are_not_utf_8_are_read_with_a_warning(workplace, capsys):
    content = "a,b\n" + "".join(f"Zürich{n % 3},{n * n}\n" for n in range(20))
    (workplace / "t.csv").write_bytes(content.encode("latin-1"))
    assert Table(path="t.csv").columns[0].categories == ["Zürich0", "Zürich1", "Zürich2"]
    assert "not UTF-8; it is read as Windows-1252" in capsys.readouterr().err
    (workplace / "u.csv").write_bytes(content.encode("utf-16"))
    assert Table(path="u.csv").columns[0].categories == ["Zürich0", "Zürich1", "Zürich2"]


def test_infinite_numbers_count_as_missing(workplace, capsys):
    rows = [["a", "b"], *([("inf", "1e300", "nan")[n % 3] if n < 6 else n / 7, n * n] for n in range(30))]
    (column, _) = Table(path=write(workplace / "t.csv", rows)).columns
    assert column.missing
    assert (column.low, column.high) == (6 / 7, 29 / 7)
    said = capsys.readouterr().err
    assert "infinite, or beyond 1e100, and so missing: 4 numbers" in said
    assert "6 in 'a'" in said


def body(row, n=20):
    return "".join(row(i) + "\n" for i in range(n))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.csv is empty: it has no rows"),
        (b"a,b\n", "a line of column names, but no rows below it"),
        (b"a,b\n1,2\n", "t.csv has 1 row; a table needs 10 or more"),
        ("a\n" + body(lambda i: f"{i}.5"), "fewer than two columns that can be learned"),
        ("a,b\n" + body(lambda i: ","), "'a' ('') has one value"),
        (
            "a,b\n" + body(lambda i: f"{i},2") + "1\n1,2,3\n",
            "line 22 has 1 value, but the first line has 2, and 1 more",
        ),
        (bytes(range(256)) * 9, "not text in utf-8"),
        (b"a,b\n\0,1\n", "it contains zero bytes"),
        ("a,b,a\n" + body(lambda i: f"{i},2,3"), "2 columns called 'a'"),
        (body(lambda i: f"{i}.5,{i}.7"), "set data.header=false"),
        ("a,b\n" + body(lambda i: f"t{i},{i}.5", 300), "an identifier: no text occurs twice"),
        ("a,b\n" + body(lambda i: f"t{i % 150},{i}.5", 300), "150 different texts; data.max_categories = 100"),
        ("a,b\n" + body(lambda i: f"{i // 2}.5,x" if i % 20 else "old,x", 300), "such as 'old': if these are missing"),
    ],
)
def test_what_is_not_a_table_is_refused_in_words(workplace, content, message):
    (workplace / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as error:
        Table(path="t.csv")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "nowhere.csv"}, "data.path = 'nowhere.csv': No such file"),
        ({"columns": ("agee",)}, "data.columns: there is no column 'agee'.* Did you mean 'age'"),
        ({"drop": tuple(people()[0])}, "has no columns left"),
        ({"target": "country"}, "data.target: there is no column 'country'"),
        ({"categorical": ("x",)}, "data.categorical: there is no column 'x'"),
        ({"encoding": "klingon"}, "no such encoding"),
    ],
)
def test_wrong_options_are_refused(workplace, options, message):
    with pytest.raises(UsageError, match=message):
        Table(**{"path": write(workplace / "people.csv", people()), **options})


def test_options_choose_columns_and_what_is_missing(workplace):
    path = write(workplace / "people.csv", people())
    table = Table(path=path, columns=("age", "smoker", "city"), drop=("city",), categorical=("age",), missing=("1",))
    assert [type(column) for column in table.columns] == [Category, Category]
    assert table.columns[1].categories == ["", "0"]
    assert table.target_column == "smoker"


def test_a_tenth_of_the_rows_is_kept_for_tests(workplace):
    path = write(workplace / "people.csv", people())
    sizes = {split: len(Table(path=path, split=split)) for split in ("train", "test", "all")}
    assert sizes == {"train": 180, "test": 20, "all": 200}
    table = Table(path=path)
    assert torch.equal(table.tensors()["row"], table.train_rows)
    assert not (table.train_rows[:, None] == table.test_rows).all(2).any()


# --- modes ------------------------------------------------------------------------------------------------------------


def test_modes_of_a_mixture_are_found_and_every_value_is_in_one():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 500), rng.normal(50, 2, 500), np.zeros(300)])
    found = modes.find(values, 10)
    assert np.abs(found.means[:, None] - [0, 50]).min(0).max() < 1
    assert np.abs(found.alpha).max() <= 1
    assert found.means[found.mode] + found.alpha * found.scales[found.mode] == pytest.approx(values, abs=1e-9)
    assert len(modes.find(rng.normal(0, 1, 1000), 10).means) == 1
    assert len(modes.find(np.array([3.0, 3.0]), 10).means) == 1


# --- training by sampling ---------------------------------------------------------------------------------------------


def drawn(table, epochs=20):
    """The labels and the rows of some epochs, as a model that reads labels gets them."""
    rng = torch.Generator().manual_seed(0)
    index = torch.cat([table.order(epoch, rng, {"row", "label"}) for epoch in range(epochs)])
    with preserved():
        torch.manual_seed(0)
        return table.prepare({"row": table.tensors()["row"][index]}), index


def test_labels_are_true_of_their_rows(table):
    batch, _ = drawn(table, 1)
    names = table.fields["label"].class_names
    categories = [c for c in table.columns if isinstance(c, Category)]
    texts = dict(zip([c.name for c in table.columns], decode(batch["row"], table.columns), strict=True))
    for number, label in enumerate(batch["label"].tolist()):
        assert names[label] in {f"{c.name}={c.text(texts[c.name][number]) or '(missing)'}" for c in categories}


def test_categories_are_drawn_by_the_logarithm_of_their_frequency(table):
    batch, _ = drawn(table)
    names = table.fields["label"].class_names
    counts = torch.bincount(batch["label"], minlength=len(names)).double()
    of_cities = [n for n, name in enumerate(names) if name.startswith("city=")]
    assert counts[of_cities].sum() / counts.sum() == pytest.approx(1 / 4, abs=0.02)  # 4 columns of categories
    rows = next(column for column in table.columns if column.name == "city").shares
    log = torch.tensor([np.log(share * len(table) + 1) for share in rows])
    shares = counts[of_cities] / counts[of_cities].sum()
    assert shares.tolist() == pytest.approx((log / log.sum()).tolist(), abs=0.03)
    assert max(rows) > 0.6 > 0.5 > shares.max()


def test_a_model_that_reads_no_labels_gets_each_row_once(table):
    order = table.order(0, torch.Generator().manual_seed(0), {"row"})
    assert order.sort().values.tolist() == list(range(200))


def test_a_table_of_numbers_has_one_label(workplace):
    rows = [["a", "b"], *([n / 7, n * n] for n in range(30))]
    table = Table(path=write(workplace / "t.csv", rows))
    batch, _ = drawn(table, 1)
    assert table.fields["label"].class_names == ("any row",)
    assert not batch["label"].any()


# --- metrics ----------------------------------------------------------------------------------------------------------


def measured(metric, table, fake, real=None):
    real = table.train_rows if real is None else real
    return {name: score.value for name, score in metric.measure(samples(table, fake), samples(table, real)).items()}


@pytest.fixture
def big(workplace):
    return Table(path=write(workplace / "people.csv", people(1000)))


def shuffled(table):
    """The rows, with each column shuffled by itself: the marginals are right, and nothing else is."""
    rng = torch.Generator().manual_seed(0)
    parts = table.train_rows.split([column.units for column in table.columns], 1)
    return torch.cat([part[torch.randperm(len(part), generator=rng)] for part in parts], 1)


def test_shuffled_columns_keep_their_marginals_and_lose_their_associations(big):
    assert measured(Marginals(), big, shuffled(big))["marginals"] == pytest.approx(0, abs=1e-9)
    assert measured(Associations(), big, big.train_rows)["associations"] == 0
    assert measured(Associations(), big, shuffled(big))["associations"] > 0.05
    details = Associations().measure(samples(big, shuffled(big)), samples(big, big.train_rows))["associations"].details
    assert set(details["pair"]) == {"income", "job"}


def test_marginals_by_hand(workplace):
    rows = [["a", "b"], *([n, "xy"[n % 2]] for n in [*range(40), *range(40)])]
    table = Table(path=write(workplace / "t.csv", rows), split="all")
    real = table.tensors()["row"]
    values = decode(real, table.columns)
    fake = real[torch.from_numpy((values[0] < 20) & (values[1] == 0))]  # half of the numbers, one of two categories
    found = measured(Marginals(), table, fake, real)
    assert found["tv"] == pytest.approx(0.5)
    assert found["ks"] == pytest.approx(0.525)  # at 18: all of these, 19 of 40 of the others
    assert found["marginals"] == pytest.approx(0.5125)
    assert found["wasserstein"] == pytest.approx(10.5 / np.std(values[0]), rel=0.03)  # the mean falls from 19.5 to 9


def test_missing_values_count(big):
    age = next(column for column in big.columns if column.name == "age")
    whole = big.train_rows[~torch.from_numpy(np.isnan(decode(big.train_rows, big.columns)[0]))]
    share = 1 - len(whole) / len(big.train_rows)
    details = Marginals().measure(samples(big, whole), samples(big, big.train_rows))["ks"].details
    assert details["columns"][age.name] >= share - 1e-9 > 0.05


def test_samples_without_the_association_are_useless_for_prediction(big):
    found = measured(TSTR(target="income"), big, big.train_rows)
    assert found["tstr"] == found["trtr"] > 0.7
    assert measured(TSTR(target="income"), big, shuffled(big))["tstr"] < 0.2
    found = measured(TSTR(target="job"), big, big.train_rows)
    assert found["tstr"] > 0.6
    assert measured(TSTR(target="job"), big, shuffled(big))["tstr"] < 0.5
    with pytest.raises(UsageError, match="Did you mean 'income'"):
        measured(TSTR(target="incom"), big, big.train_rows)


def test_what_real_rows_reach_is_learned_from_the_training_split(big, workplace):
    test = Table(path=workplace / "people.csv", split="test")
    rows = test.train_rows[: len(test)]
    assert not torch.equal(rows, test.test_rows)
    found = measured(TSTR(target="income"), test, rows, test.test_rows)
    assert found["trtr"] == found["tstr"]  # as those that were trained on the same rows
    assert measured(TSTR(target="income"), test, test.test_rows)["tstr"] > found["trtr"]  # tested on what it knows


def test_copied_rows_are_seen(big):
    found = measured(ClosestRecords(), big, big.train_rows[:300])
    assert found == {"dcr": 1.0, "identical": 1.0}
    found = measured(ClosestRecords(), big, big.test_rows)
    assert found["dcr"] == pytest.approx(0.5)
    assert found["identical"] == 0
    half = torch.cat([big.train_rows[:100], big.test_rows])
    assert measured(ClosestRecords(), big, half)["dcr"] == pytest.approx(0.75, abs=0.01)


def test_metrics_of_tables_refuse_pictures(ganzoo, trained):
    result = ganzoo("evaluate", trained, "--metrics", "dcr", "-n", 100, "--set", "data.split=test")
    assert result.code == 2
    assert "it is for tables" in result.err


# --- as a user --------------------------------------------------------------------------------------------------------


def test_a_csv_file_is_trained_on_sampled_drawn_and_measured(ganzoo, workplace):
    path = write(workplace / "people.csv", people(), delimiter=";")
    result = ganzoo("run", "ctgan", "--data", path, "--steps", 3, "--batch-size", 16, "--out", "run")
    assert result.code == 0, result.err
    assert "ganzoo sample run -n 64 --seed 0 -o samples.csv" in result.out
    assert (workplace / "run/samples/fake-00000003.png").exists()
    (workplace / "people.csv").rename(workplace / "moved.csv")
    assert ganzoo("sample", "run", "-n", 30, "-o", "out.csv").code == 0
    rows = list(csv.DictReader((workplace / "out.csv").open(newline=""), delimiter=";"))
    assert len(rows) == 30
    for row in rows:
        assert list(row) == ["age", "income", "city", "job", "smoker", "born", "country", "notes"]
        assert row["age"] == "" or 18 <= int(row["age"]) <= 80
        assert len(row["income"].partition(".")[2]) == 2
        assert row["city"] in CITIES
        assert row["country"] == "CH"
        day, month, year = map(int, row["born"].split("."))
        assert 1 <= day <= 31
        assert 1 <= month <= 12
        assert 1940 <= year <= 2005
    assert ganzoo("sample", "run", "-n", 30, "--label", "job=baker", "-o", "bakers.csv").code == 0
    assert ganzoo("sample", "run", "--label", "job=bakr", "-o", "x.csv").code == 2
    assert ganzoo("sample", "run", "-n", 30, "-o", "out.png").code == 0
    (workplace / "moved.csv").rename(workplace / "people.csv")
    result = ganzoo("evaluate", "run", "-n", 100)
    assert result.code == 0, result.err
    for name in ("marginals", "associations", "tstr", "trtr", "dcr", "identical"):
        assert name in result.out


def test_pictures_have_one_size_for_any_samples(table):
    rows = table.tensors()["row"]
    whole = Table.pictures(rows, table.fields["row"])
    one = Table.pictures(torch.zeros_like(rows[:1]), table.fields["row"])
    assert whole.shape == one.shape
    assert whole.shape[:2] == (1, 3)
    assert whole.min() >= -1
    assert whole.max() <= 1
    assert not torch.equal(whole, Table.pictures(shuffled(table), table.fields["row"]))


def test_gapminder_comes_with_plotly():
    table = Gapminder(split="all")
    assert len(table) == 1704
    assert [column.name for column in table.columns] == ["continent", "year", "lifeExp", "pop", "gdpPercap"]
    lines = Gapminder.encode(table.tensors()["row"], table.fields["row"], ".csv").decode().splitlines()
    row = next(line.split(",") for line in lines if line.startswith("Asia,1952,28.801,"))  # Afghanistan
    assert list(map(float, row[3:])) == pytest.approx([8425333, 779.4453145], rel=1e-5)
    assert package.Zoo().part("data", "gapminder").load() is Gapminder


def test_all_rows_leave_none_for_metrics_of_unseen_rows(workplace):
    Path("t.csv").write_text("a,b\n" + "\n".join(f"{i % 17},{i % 5}" for i in range(80)))
    for metric in (TSTR(), ClosestRecords()):
        metric.check(Table(path="t.csv"))
        with pytest.raises(ValueError, match="no model was trained on"):
            metric.check(Table(path="t.csv", split="all"))


def test_commas_between_thousands_are_no_decimal_commas(workplace):
    rows = [f'"{n:,}",{n % 7}' for n in range(200, 90_000, 997)]
    Path("t.csv").write_text("price,b\n" + "\n".join(rows))
    (price, _) = Table(path="t.csv").columns
    assert (price.low, price.high) == (200, 89_930)
    Path("t.csv").write_text("price;b\n" + "\n".join(f"{i},5;{i % 7}" for i in range(len(rows))))
    assert Table(path="t.csv").columns[0].high == len(rows) - 0.5
