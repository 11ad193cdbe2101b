"""Reports, tables and films of small real runs. The page is opened in a real browser if one is installed."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from ganzoo_report import pictures, samples
from ganzoo_report.neighbors import Reference
from ganzoo_report.runs import read_runs
from ganzoo_report.settings import differing, group, settings_of
from PIL import Image, ImageSequence, features

import ganzoo as package
from ganzoo import Zoo
from ganzoo.cli import invoke

SECTIONS = "runs samples curves alarms interpolation neighbors evaluations recipe environment reproduce"
NASTY = "<script>document.title = 'stolen'</script> & \"quotes\""
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with the runs ``a`` (and its report) and ``b``, of 50 steps or 5 epochs, and ``points`` in the plane."""
    folder = tmp_path_factory.mktemp("runs")
    small = {"batch_size": 1000, "device": "cpu"}
    settings = {"data.split": "test", "train.log_every": 2, "train.sample_min_steps": 10}
    for seed, name in enumerate("ab"):
        run = package.train("fc-mnist", steps=50, seed=seed, settings=settings, out=folder / name, **small)
        run.evaluate(["fd-raw", "prdc-raw"], n=800, settings={"data.split": "test"})
    settings = {"data.examples": 5000, "train.log_every": 2}
    package.train("fc-mnist", data="ring8", steps=20, settings=settings, out=folder / "points", **small)
    assert invoke(["report", str(folder / "a")]) == 0
    return folder


@pytest.fixture
def place(trained, workplace) -> Path:
    """The current folder, with copies of the runs."""
    return shutil.copytree(trained, workplace, dirs_exist_ok=True)


class Page(HTMLParser):
    """The content of a page: elements with their attributes, and the text outside of scripts and styles."""

    def __init__(self, source: Path | str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside = {"script": "", "style": "", "": ""}
        self._place = ""
        self.source = source if isinstance(source, str) else source.read_text(encoding="utf-8")
        self.feed(self.source)
        self.scripts, self.text = self.inside["script"], self.inside[""]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._place = tag if tag in self.inside else ""

    def handle_endtag(self, tag):
        self._place = ""

    def handle_data(self, data):
        self.inside[self._place] += data

    def of(self, tag, **attributes):
        return [a for t, a in self.elements if t == tag and attributes.items() <= a.items()]

    def loads(self) -> list[str]:
        """Return everything that the page would load from elsewhere."""
        attributes = ["src", "href", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href"]
        found = [a[name] or "" for _, a in self.elements for name in attributes if name in a]
        found += re.findall(r"url\(|@import", self.inside["style"])
        return [one for one in found if not one.startswith(("#", "data:"))]

    def shown(self) -> list[str | None]:
        """Return the steps of the sample grids that are not hidden."""
        return [a["data-step"] for a in self.of("img") if "data-step" in a and "hidden" not in a]

    def figures(self) -> dict[str, dict]:
        """Return the data of the figures by name."""
        found = re.findall(r'<script type="application/json" data-plot="([\w-]+)">(.*?)</script>', self.source, re.S)
        return {name: json.loads(text) for name, text in found}


def browse(path: Path, folder: Path, dark: bool = False) -> tuple[Page, int, list[str]]:
    """Open a page in a real browser with its own profile in ``folder``. Return the resulting page, the number of its
    broken pictures, and all errors that the page or the browser logged."""
    if not BROWSER:
        pytest.skip("no chromium or google-chrome on the PATH")
    options = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync "
    options += "disable-component-update window-size=1400,1300 virtual-time-budget=15000 enable-logging=stderr dump-dom"
    options += f" blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [BROWSER, *(f"--{option}" for option in options.split()), f"--user-data-dir={folder / 'profile'}"]
    result = subprocess.run([*command, path.absolute().as_uri()], capture_output=True, text=True, timeout=120)
    page = Page(result.stdout)
    (root,) = page.of("html")
    assert root.get("data-ready") == "yes", result.stderr
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    return page, int(root["data-broken-pictures"]), json.loads(root["data-errors"]) + console


def test_a_report_holds_everything_and_loads_nothing(trained):
    page, run = Page(trained / "a/report.html"), trained / "a"
    for name in SECTIONS.split():
        assert page.of("section", id=name), name
    assert page.loads() == []
    (policy,) = page.of("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data: blob:;")
    assert {"figure-loss", "figure-scores", "figure-gradient", "figure-speed"} <= page.figures().keys()
    for name, figure in page.figures().items():
        axes = {key: axis for key, axis in figure["layout"].items() if key.startswith(("xaxis", "yaxis"))}
        assert all(axis["title"]["text"] for axis in axes.values()), name
        assert len(axes) == 2 * len({trace["xaxis"] for trace in figure["data"]})  # no empty panel
    assert len(page.source) < 4e6
    assert [int(a["data-step"]) for a in page.of("img") if "data-step" in a] == [0, 10, 20, 30, 40, 50, 0]
    assert (len(page.of("img", alt="sample")), len(page.of("img", alt="training example"))) == (12, 36)
    picture = page.of("img", alt="training example")[0]["src"].partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (28, 28)
    status = json.loads((run / "run.json").read_text())
    loaded = package.load(run)
    texts = [loaded.recipe.title, "finished", "50 of 50", "generator 234,000", "all 10,000 training examples"]
    texts += [status["platform"], status["versions"]["torch"], (run / "recipe.toml").read_text()]
    texts += ["great circle", f"ganzoo report {run} --checkpoint last --seed 0", "ganzoo run"]
    for record in loaded.evaluations():
        texts += [record["metric"], f"{record['value']:.6g}", record["data_sha256"][:12]]
    for text in texts:
        assert text in page.text, text


def test_several_runs_work_in_a_browser(ganzoo, place, tmp_path):
    """Side by side: images and points, a hostile title, an alarm."""
    recipe = Path("b/recipe.toml").read_text()
    Path("b/recipe.toml").write_text(re.sub("title = .*", lambda _: f"title = {json.dumps(NASTY)}", recipe))
    with Path("b/metrics.jsonl").open("a") as file:
        json.dump({"step": 21, "alarm": "collapse", "message": f"All alike. {NASTY}", "remedy": "Rest."}, file)
    assert "3 runs" in ganzoo("report", "a", "b", "points", "-o", "all.html").out
    page = Page(Path("all.html"))
    assert (page.text.count(NASTY), "stolen" in page.scripts) == (2, False)
    scalars = {name for run in "ab" for tick in package.load(run).metrics() for name in tick}
    lines = [line for figure in page.figures().values() for line in figure["layout"].get("shapes", ())]
    assert [line["x0"] for line in lines] == [21] * len(scalars - {"step", "epoch", "seconds"})  # one in each panel
    assert all(text in page.text for text in ("Rest.", "points in the plane"))
    assert page.loads() == []
    page, broken, errors = browse(Path("all.html"), tmp_path)
    assert (broken, errors, len(page.of("div", id="scatter-0"))) == (0, [], 1)


def test_a_report_works_in_a_browser_and_errors_are_noticed(trained, tmp_path):
    """An intact page passes; one that was tampered with does not."""
    page, broken, errors = browse(trained / "a/report.html", tmp_path)
    assert (broken, errors) == (0, [])
    assert len(page.of("img")) == 7 + 1 + 48  # grids over time, interpolation, samples and neighbors
    assert len([a for a in page.of("svg") if a.get("class") == "main-svg"]) >= 3
    assert page.shown() == ["50", "0"]  # fake and real
    text = (trained / "a/report.html").read_text()
    picture = re.search(r'<img src="data:image/png;base64,([^"]{40})[^"]*"[^>]*alt="training example"', text)
    text = text.replace(picture[1], "A" * 40, 1)
    outside = '<img src="https://example.invalid/x.png"><script>console.error("mine"); nowhere();</script>'
    slide = "<script>time.value = 2; time.dispatchEvent(new Event('input'));</script>"
    (tampered := tmp_path / "tampered.html").write_text(text.replace("</body>", f"{outside}{slide}</body>"))
    assert Page(tampered).loads() == ["https://example.invalid/x.png"]
    page, broken, errors = browse(tampered, tmp_path)
    assert broken == 2
    for expected in ("cannot load IMG", "refused to load https://example.invalid", "mine", "nowhere is not", "CONSOLE"):
        assert any(expected in error for error in errors), expected
    assert page.shown() == ["20", "0"]


def test_a_report_says_what_is_missing(ganzoo, place):
    """A run that was killed at once has nothing but a recipe; damaged lines and pictures are left out."""
    shutil.copytree("a", "only", ignore=lambda folder, names: set(names) - {"recipe.toml"})
    assert ganzoo("report", "only").code == 0
    page = Page(Path("only/report.html"))
    for text in ("run.json is missing", "has no metrics", "not saved any", "has no checkpoint yet", "evaluate only"):
        assert text in page.text, text
    assert not page.of("script", id="plotly")  # nothing to draw, so it is not there
    Path("b/samples/fake-00000020.png").write_bytes(b"no picture")
    metrics = Path("b/metrics.jsonl")
    metrics.write_text(metrics.read_text() + '{"step": 51, "loss/gen')
    next(Path("b/checkpoints").glob("*/weights.safetensors")).write_bytes(b"damaged")
    assert ganzoo("report", "b").code == 0
    page = Page(Path("b/report.html"))
    assert all(text in page.text for text in ("cannot be read: 1 picture.", "No checkpoint of b is valid"))
    assert len([a for a in page.of("img") if a.get("alt", "").startswith("fake")]) == 5


MISTYPED = {
    "report nowhere": "nowhere does not exist",
    "report a empty": "empty has no recipe.toml",
    "report a -o a/recipe.toml": "give an .html file",
    "report a -o missing/x.html": "folder missing",
    "report a --checkpoint newest": "last, best or a step",
    "report a --checkpoint 7": "has no checkpoint of step 7; available: 50",
    "report a b --checkpoint best": "a has no best checkpoint",
    "compare empty": "empty has no recipe.toml",
    "film a -o film.mp4": "give a .gif or .webp file",
    "film a --name real": "needs 2 or more pictures real-STEP.png, but a/samples has 1. Available: --name fake.",
}


def test_a_mistyped_command_explains_itself_and_writes_nothing(ganzoo, place):
    Path("empty").mkdir()
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for typed, message in MISTYPED.items():
        result = ganzoo(*typed.split())
        assert (result.code, message in result.err, "Traceback" in result.err) == (2, True, False), result
    assert before == {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_many_pictures_and_ticks_are_thinned(ganzoo, place):
    """Of 500 epochs, about 60 pictures and 2,000 points per curve are shown, evenly spaced, and the page says so."""
    for step in range(60, 5010, 10):
        shutil.copy("a/samples/real-00000000.png", f"a/samples/fake-{step:08d}.png")
    with Path("a/metrics.jsonl").open("a") as file:
        file.writelines(json.dumps({"step": step, "D(x)": 0.5, "path/length": step}) + "\n" for step in range(51, 5001))
    gallery = pictures.gallery(read_runs([Path("a")]))
    steps = [frame.step for frame in gallery.strips[0]["fake"]]
    assert (steps[0], steps[-1], len(steps)) == (0, 5000, pictures.MAX_PICTURES)
    assert set(np.diff(steps)) <= {80, 90}
    shutil.rmtree("a/checkpoints")  # faster; what the model shows is tested elsewhere
    assert ganzoo("report", "a").code == 0
    page = Page(Path("a/report.html"))
    assert all(note in page.text for note in ("60 of 501 steps are shown", "2000 of 4975 ticks are drawn"))
    (trace,) = page.figures()["figure-path"]["data"]
    assert len(trace["x"]) == len(trace["y"]) == 2000


def test_neighbors_are_the_nearest(monkeypatch):
    """Compared with distances computed directly; copies of training examples find themselves."""
    rng = np.random.default_rng(0)
    stored = torch.from_numpy(rng.integers(0, 256, (300, 3, 8, 8), dtype=np.uint8))
    dataset = package.TensorDataset({"image": stored})
    reference = Reference(Zoo(), dataset, seed=0)
    pixels = stored.double().div(127.5).sub(1).flatten(1).numpy()
    distances = np.linalg.norm(pixels[:, None] - pixels[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert reference.typical == pytest.approx(np.median(distances.min(1)), rel=0.02)  # of 200 of the 300
    queries = torch.cat(
        [stored[:5].float().div(127.5).sub(1), torch.from_numpy(rng.uniform(-1, 1, (5, 3, 8, 8))).float()]
    )
    values, distances = reference.nearest(queries)
    assert torch.equal(values[:5, 0], stored[:5])
    levels = queries.add(1).mul(127.5).round().div(127.5).sub(1).flatten(1).double().numpy()
    expected = np.sort(np.linalg.norm(levels[:, None] - pixels[None], axis=2), axis=1)[:, :3]
    np.testing.assert_allclose(distances.numpy(), expected, atol=1e-4)
    monkeypatch.setattr("ganzoo_report.neighbors._MAX_VALUES", 0)
    monkeypatch.setattr("ganzoo_report.neighbors._MAX_EXAMPLES", 100)
    assert Reference(Zoo(), dataset, seed=0).used == 100


def test_spherical_interpolation_keeps_the_length():
    start, end = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).double()
    start, end = (10 * v / v.norm(dim=1, keepdim=True) for v in (start, end))
    for t in torch.linspace(0, 1, 5):
        assert torch.allclose(samples.slerp(start, end, t).norm(dim=1), torch.tensor(10.0).double())
    angle = torch.cosine_similarity(start, samples.slerp(start, end, torch.tensor(0.5))).acos()
    assert torch.allclose(2 * angle, torch.cosine_similarity(start, end).acos())
    line = torch.tensor([[1.0], [-2.0]])  # vectors of one number span no arc
    assert torch.equal(samples.slerp(line, -line, torch.tensor(0.25)), line / 2)


def test_latents_of_other_kinds(trained, monkeypatch):
    model = package.load(trained / "a").model
    latents = {"z": torch.rand(16, 126), "label": torch.zeros(16).long()}
    monkeypatch.setattr(model, "sample_latent", lambda n, rng: latents)
    assert samples._interpolation(model, 0)[1].endswith("not one floating-point tensor but z (float32), label (int64).")
    monkeypatch.setattr(model, "sample_latent", lambda n, rng: {"noise": torch.rand(n, 1, 4, 4)})
    monkeypatch.setattr(model, "generate", lambda latent: latent["noise"])
    assert samples._interpolation(model, 0)[1].endswith("along the straight line.")


def test_compare_shows_what_differs(ganzoo, place, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    head, first, second, *rest = ganzoo("compare", "a", "b").out.splitlines()
    names = ["fd-raw", "precision-raw", "recall-raw", "density-raw", "coverage-raw"]
    assert head.split() == ["DIRECTORY", "RECIPE", "STEP", "train.seed", "SECONDS", *names]
    for row, name, seed in ((first, "a", "0"), (second, "b", "1")):
        values = {record["metric"]: record["value"] for record in package.load(name).evaluations()}
        assert row.split()[:4] == [name, "fc-mnist", "50", seed]
        assert row.split()[5:] == [f"{values[metric]:.5g}" for metric in names]
    assert rest == ["", "lower is better: fd-raw", "higher is better: " + ", ".join(names[1:])]
    package.load("a").evaluate(["fd-raw"], n=810, seed=3, settings={"data.split": "test"})
    package.load("a").evaluate(["fd-raw"], n=800, real=True, settings={"data.split": "test"})
    assert ganzoo("compare", "a", "b").out.splitlines()[1:] == [first, second, *rest]  # measured the way both share
    Path("b/evaluations.jsonl").unlink()
    package.load("b").evaluate(["fd-raw"], n=820, settings={"data.split": "test"})
    printed, compared = (ganzoo("compare", "a", "b", "points", *options).out for options in ([], ["--json"]))
    assert "not comparable: fd-raw. The runs were not measured alike: they differ in n, " in printed
    table = [line.split() for line in printed.partition("\n\n")[0].splitlines()]
    assert table[0] == ["DIRECTORY", "a", "b", "points"]  # one row per run would be too wide
    assert [row[-1] for row in table[-5:]] == ["-"] * 5
    rows = json.loads(compared)["runs"]
    assert [row["settings"]["data"] for row in rows] == ["mnist", "mnist", "ring8"]
    assert [(row["metrics"]["fd-raw"] or {}).get("n") for row in rows] == [810, 820, None]
    Path("b/run.json").write_text('{"step": 90}')
    assert "b: fd-raw measured at step 50; the run is at step 90" in ganzoo("compare", "a", "b").out


def test_a_comparison_sees_whole_recipes():
    plain = Zoo().recipe("fc-mnist")
    other = plain.with_listed("penalties", ["r1", "clip"]).with_listed("augmentations", ["diffaugment"])
    other = other.with_setting("penalties.r1.weight", 5.0).with_setting("optimizer.generator.lr", 0.1)
    one, two = differing(settings_of([plain, other]))
    assert two == {
        "penalties.r1": "r1",
        "penalties.clip": "clip",
        "augmentations.diffaugment": "diffaugment",
        "optimizer.generator.lr": 0.1,
    }
    assert one == dict.fromkeys(two) | {"optimizer.generator.lr": plain.optimizer["lr"]}
    assert differing(settings_of([other, other.with_setting("penalties.r1.player", "generator")])) == [
        {"penalties.r1.player": None},
        {"penalties.r1.player": "generator"},
    ]


def test_runs_that_differ_in_their_seed_are_one_setting():
    base = Zoo().recipe("fc-mnist")
    seeds = [base.with_setting("train.seed", seed).with_setting("train.log_every", seed + 1) for seed in range(3)]
    rates = [base.with_setting("optimizer.lr", 1e-4).with_setting("train.seed", seed) for seed in range(2)]
    first, second = group([*seeds, *rates])
    assert (first.members, second.members) == ((0, 1, 2), (3, 4))
    assert (second.label, second.values) == ("lr 0.0001", {"optimizer.lr": 1e-4})
    assert group([base])[0].label == "fc-mnist"
    many = group([base.with_setting("optimizer.lr", number * 1e-5) for number in range(1, 200)])
    assert len({setting.color for setting in many}) == len({setting.label for setting in many}) == 199


def test_a_report_of_several_runs_is_a_comparison(ganzoo, place):
    """Settings as rows, with mean and standard deviation over the seeds; colors by setting; real samples once."""
    options = {"batch_size": 1000, "device": "cpu", "settings": {"data.split": "test"}}
    package.train("fc-mnist", steps=4, loss="hinge", out="other one", **options)
    shutil.copytree("points", "more points")
    assert ganzoo("report", "a", "b", "other one", "-o", "all.html").code == 0
    page = Page(Path("all.html"))
    values = [package.load(run).evaluations()[0]["value"] for run in "ab"]
    assert f"{np.mean(values):.5g} \u00b1 {np.std(values, ddof=1):.2g}" in page.text
    assert "ganzoo evaluate 'other one'" in page.text
    assert "ganzoo run 'other one/recipe.toml'" in page.text
    traces = page.figures()["figure-loss"]["data"]
    colors = {trace["name"]: trace["line"]["color"] for trace in traces}
    assert len(colors) == len(set(colors.values())) == 2
    assert sum(trace["showlegend"] for trace in traces) == 2
    assert len(page.of("img", alt="real samples at step 0")) == 1
    recipe = Path("more points/recipe.toml")
    recipe.write_text(re.sub("seed = 0", "seed = 5", recipe.read_text()))
    assert ganzoo("report", "points", "more points", "-o", "all.html").code == 0
    (cloud,) = [figure for name, figure in Page(Path("all.html")).figures().items() if name.startswith("scatter")]
    assert [trace["name"] for trace in cloud["data"]] == ["real", "generated"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_follows_the_colors_of_the_system(trained, tmp_path, scheme):
    page, _, errors = browse(trained / "a/report.html", tmp_path, dark=scheme == "dark")
    assert errors == []
    (axis, *_) = re.findall(r'class="ytick".*?style="[^"]*fill: (rgb\([\d, ]+\))', page.source, re.S)
    assert axis == ("rgb(221, 221, 221)" if scheme == "dark" else "rgb(34, 34, 34)")


def test_a_picture_is_enlarged_on_click_and_curves_are_smoothed(trained, tmp_path):
    text = (trained / "a/report.html").read_text()
    act = """<script>addEventListener("load", () => setTimeout(() => {
      document.querySelector("section img").click();
      const before = document.querySelectorAll(".scatterlayer .trace").length;
      slider.value = 0; slider.dispatchEvent(new Event("input"));
      setTimeout(() => root.seen = [before, document.querySelectorAll(".scatterlayer .trace").length], 500);
    }, 3000));</script>"""
    (page := tmp_path / "page.html").write_text(text.replace("</body>", f"{act}</body>"))
    found, _, errors = browse(page, tmp_path)
    assert errors == []
    assert "open" in found.of("dialog")[0]
    smooth, raw = map(int, found.of("html")[0]["data-seen"].split(","))
    assert smooth > raw > 0


def test_the_report_of_a_run_with_many_large_pictures_is_small(ganzoo, place):
    """Color grids of 64x64 pixels at 200 steps: 40 MB of PNG."""
    rng = np.random.default_rng(0)
    for step in range(60, 2060, 10):
        noise = rng.normal(128, 40, (264, 528, 3)).cumsum(1) / 20 % 256
        Image.fromarray(noise.astype(np.uint8)).save(f"a/samples/fake-{step:08d}.png", compress_level=1)
    with Path("a/metrics.jsonl").open("a") as file:
        for step in range(51, 8000):
            line = {name: rng.normal() for name in ("loss/generator", "loss/discriminator", "D(x)", "D(G(z))", "extra")}
            file.write(json.dumps({"step": step, **line}) + "\n")
    assert ganzoo("report", "a").code == 0
    assert Path("a/report.html").stat().st_size < 4e6
    assert len(Page(Path("a/report.html")).of("img", alt="fake samples at step 2050")) == 1


@pytest.mark.parametrize("out", ["a/film.gif", "film.webp"] if features.check("webp") else ["a/film.gif"])
def test_a_film_has_one_frame_per_picture(ganzoo, place, out):
    result = ganzoo("film", "a", *(["-o", out] if out == "film.webp" else []), "--fps", 5)
    assert f"6 pictures, from step 0 to 50: {out}" in result.out, result
    last = np.asarray(Image.open("a/samples/fake-00000050.png").convert("L")).astype(int)
    height, width = last.shape
    with Image.open(out) as film:
        assert (film.n_frames, film.info.get("loop")) == (6, 0)
        shown = [(frame.convert("L"), frame.info["duration"]) for frame in ImageSequence.all_frames(film)]
    frames, durations = [np.asarray(frame).astype(int) for frame, _ in shown], [duration for _, duration in shown]
    assert durations == [200] * 5 + [1500]
    assert all(frame.shape[0] > height and frame.shape[1] == width for frame in frames)
    assert np.abs(frames[-1][:height] - last).max() <= 2
    assert all((frame[height:] < 128).any() and (frame[height:] == 255).mean() > 0.7 for frame in frames)
    assert len({frame[height:].tobytes() for frame in frames}) == 6  # each shows its own step
