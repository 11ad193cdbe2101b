"""500 wrong settings, recipes and registry files: each gives a clear message and exit code 2, and leaves nothing."""

import contextlib
import io
import math
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from ganzoo.cli import invoke
from ganzoo.errors import UsageError
from ganzoo.recipes import _KEYS as RECIPE_KEYS, PARTS, parse_bound
from ganzoo.zoo import Zoo

PART_NAMES = {name for kind in PARTS for name in Zoo().names(kind)}
GOOD = {"data": "mnist", "model": "fc", "loss": "non-saturating", "train": {"steps": 1, "batch_size": 2}}

COUNTS = [
    "model.latent_dim",
    "model.generator_width",
    "loss.n_critic",
    "train.epochs",
    "train.batch_size",
    "train.keep",
    "train.log_every",
    "train.checkpoint_every",
]
RATES = ["optimizer.lr", "optimizer.discriminator.lr", "optimizer.generator.lr"]
CHOICES = ["train.device", "train.cache_on_device", "data.split", "optimizer.name"]

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
integers = st.integers(-(10**9), 0) | st.integers(10**13, 10**30)
junk = st.one_of(
    words.filter(lambda w: not w.strip().lstrip("+-").replace("_", "").isdigit()),
    st.booleans(),
    st.floats(-1e9, -1e-9),
    st.just(math.nan),
    st.just(math.inf),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(names, st.integers(), max_size=2),
)


def is_bound(text: str) -> bool:
    try:
        return bool(parse_bound(text, "it"))
    except UsageError:
        return False


@st.composite
def bad_assignments(draw) -> list[str]:
    """``--set`` with a wrong path, or with a value that does not fit the path."""
    kind = draw(st.sampled_from(["word", "head", "name", "deep", "count", "rate", "choice"]))
    match kind:
        case "word":
            text = draw(words.filter(lambda w: "=" not in w))
        case "head":
            head = draw(names.filter(lambda n: n not in ("data", "model", "loss", "optimizer", "train")))
            text = f"{head}.{draw(names)}={draw(st.integers())}"
        case "name":
            head = draw(st.sampled_from(["data", "model", "loss", "optimizer", "train"]))
            text = f"{head}.{draw(names)}x_y={draw(st.integers())}"
        case "deep":
            text = f"{draw(st.sampled_from(COUNTS + RATES))}.{draw(names)}=1"
        case "count":
            value = draw(junk | integers)
            written = tomli_w.dumps({"v": value})[4:].strip() if draw(st.booleans()) else value
            text = f"{draw(st.sampled_from(COUNTS))}={written}"
        case "rate":
            value = draw(junk)
            assume(value is not True)
            text = f"{draw(st.sampled_from(RATES))}={tomli_w.dumps({'v': value})[4:].strip()}"
        case "choice":
            value = draw(
                (junk | names).filter(
                    lambda v: (
                        v
                        not in (
                            "auto",
                            "cpu",
                            "cuda",
                            "mps",
                            "always",
                            "never",
                            "train",
                            "test",
                            "adam",
                            "adamw",
                            "sgd",
                            "rmsprop",
                        )
                    )
                )
            )
            text = f"{draw(st.sampled_from(CHOICES))}={tomli_w.dumps({'v': value})[4:].strip()}"
    return ["run", "fc-mnist", "--steps", "1", "--set", text]


@st.composite
def bad_files(draw) -> bytes:
    """A malformed recipe file: junk, or a good recipe with one mistake."""
    recipe = {**GOOD}
    match draw(
        st.sampled_from(
            [
                "bytes",
                "text",
                "missing",
                "unknown key",
                "wrong type",
                "unknown part",
                "bad setting",
                "bad bound",
                "many",
            ]
        )
    ):
        case "bytes":
            return b"\xff" + draw(st.binary(max_size=40))
        case "text":
            return draw(words).encode()
        case "missing":
            del recipe[draw(st.sampled_from(["data", "model", "loss"]))]
        case "unknown key":
            recipe[draw(names.filter(lambda n: n not in RECIPE_KEYS))] = draw(st.integers() | words)
        case "wrong type":
            recipe[draw(st.sampled_from([*GOOD, "title", "task", "paper", "expect", "optimizer"]))] = draw(
                st.integers() | st.booleans() | st.lists(st.integers(), max_size=2)
            )
        case "unknown part":
            part = draw(st.sampled_from(["data", "model", "loss"]))
            recipe[part] = draw(words.filter(lambda w: w.rpartition("/")[2] not in PART_NAMES))
        case "bad setting":
            table = draw(st.sampled_from(["train", "optimizer"]))
            recipe[table] = {draw(names) + "x_y": draw(st.integers())}
        case "bad bound":
            bounds = words.filter(lambda w: not is_bound(w)) | st.integers() | st.floats(allow_nan=False)
            recipe["expect"] = {draw(names): draw(bounds)}
        case "many":
            return tomli_w.dumps({"one": recipe, draw(names): recipe}).encode() if draw(st.booleans()) else b""
    name = draw(st.sampled_from(["mine", "mine", "a b", "", "../up", "-"])) if recipe == GOOD else "mine"
    assume(recipe != GOOD or name != "mine")
    return tomli_w.dumps({name: recipe}).encode()


def refused(arguments: list[str], folder: Path) -> str:
    """Run the command line, assert that it refuses with a message and leaves nothing behind, and return the message."""
    before = sorted(folder.rglob("*"))
    err, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(out):
        code = invoke(arguments)
    message = err.getvalue()
    assert code == 2, (code, message)
    assert "Error: " in message
    assert len(message.strip()) > 15
    assert "Traceback" not in message + out.getvalue()
    assert "This is a bug" not in message
    assert sorted(folder.rglob("*")) == before
    return message


quiet = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@settings(quiet, max_examples=250)
@given(arguments=bad_assignments())
def test_bad_settings_are_refused(workplace, arguments):
    refused(arguments, workplace)


@settings(quiet, max_examples=150)
@given(content=bad_files())
def test_bad_recipe_files_are_refused(workplace, content):
    Path("recipe.toml").write_bytes(content)
    assert "recipe.toml" in refused(["run", "./recipe.toml"], workplace) or b"mine" in content


@settings(quiet, max_examples=100)
@given(content=bad_files())
def test_bad_registry_files_are_refused_and_do_no_harm_to_others(workplace, registry_plugin, content):
    registry_plugin.write_bytes(content)
    refused(["run", "mine"], workplace)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert invoke(["list"]) == 0
    assert "fc-mnist" in out.getvalue()


@pytest.fixture
def registry_plugin(install, tmp_path):
    path = tmp_path / "strangers.toml"
    path.touch()
    install("stranger", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return {str(path)!r}")
    return path
