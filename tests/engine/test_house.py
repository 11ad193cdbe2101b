"""The house rules: files and functions are short, packaging is complete, and replaced words are gone.

Each rule is a function that returns what breaks it, so that the tests can also try it on examples that do.
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.engine.test_imports import GROUPS, MODULES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAX_FILE, MAX_FUNCTION = 300, 60


# --- rooms -----------------------------------------------------------------------------------------------------------


def too_long(file: Path) -> list[str]:
    """Return the file and those of its functions that are too long."""
    text = file.read_text(encoding="utf-8")
    wrong = [f"{file.name}: {n} lines"] if (n := len(text.splitlines())) > MAX_FILE else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            if (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION:
                wrong.append(f"{file.name}: {node.name} has {lines} lines")
    return wrong


def test_files_and_functions_are_short():
    assert [problem for file in MODULES.values() for problem in too_long(file)] == []


def test_files_and_functions_that_are_too_long_are_seen(tmp_path):
    file = tmp_path / "long.py"
    file.write_text("class A:\n    def f(self):\n" + "        x = 1\n" * MAX_FUNCTION + "\nx = 1\n" * MAX_FILE)
    assert too_long(file) == [f"long.py: {3 * MAX_FILE - 238} lines", "long.py: f has 61 lines"]
    file.write_text("def f():\n" + "    x = 1\n" * (MAX_FUNCTION - 1) + "x = 1\n" * (MAX_FILE - MAX_FUNCTION))
    assert too_long(file) == []


# --- packaging -------------------------------------------------------------------------------------------------------


def with_hooks(folders: Iterable[Path]) -> dict[str, str]:
    """Return entry point -> module of the plugin folders that implement hooks."""
    named = {folder.name.removeprefix("ganzoo_").replace("_", "-"): folder for folder in folders}
    return {name: folder.name for name, folder in named.items() if "@hookimpl" in (folder / "__init__.py").read_text()}


def test_every_plugin_with_hooks_has_an_entry_point():
    folders = [path.parent for path in ROOT.glob("plugins/*/*/__init__.py")]
    assert all(folder.name.startswith("ganzoo_") for folder in folders)
    assert PROJECT["project"]["entry-points"]["ganzoo"] == with_hooks(folders)
    assert {folder.name for folder in folders} - set(with_hooks(folders).values()) == {"ganzoo_networks"}


def test_every_plugin_is_in_the_wheel():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    groups = {path.parents[1].relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/*/__init__.py")}
    assert groups == {f"plugins/{group}" for group in GROUPS}
    assert set(wheel["sources"]) == groups
    assert set(wheel["only-include"]) == groups | {"ganzoo"}


# --- words -----------------------------------------------------------------------------------------------------------

OLD_NAMES = r"""
    TensorData\b | \bganzoo\.Data\b | import\ Data\b | \bheld_out\b | \b_judge_both\b | \b(real|fake)_terms\b
    \bGeneratorEvery\b | \bgenerator_every\b | \bRunDirectory\.record\b | \bwrite_record\b | \b(read|write)_cards\b
    \bgoodbye\b | \bas_sampled\b | \bput_back\b | \bnewest_whole\b | \bon_host\b | \bhouse_registry\b | \bOUR_COMMANDS\b
    \boptions\.settings_of\b | \bload_class\b | \brehears(e|al)\b | \bLedger\b | \bDealer\b | \bBench\b
    ganzoo\.(plugins|registry|trained|alarm|conformance)\b | evaluation\.cards | evaluation/cards
    training[./](files|randomness|run|checkpoint|game|dealer|ledger|loop|snapshot|views|rehearsal)\b
    def\ ganzoo_(data|models|losses|penalties|metrics|extractors|commands)\b
    ganzoo_(run_started|run_ended|tick|samples|alarm|checkpoint_saved)\b
    \baverage\.safetensors | \btrain\.(resident|workers)\b | \bcgan-mnist\b | \bganzoo_(fc_mnist|conditional)\b
    \b(Equalised|Modulated|StyledLayer|Halving)\b | \bSynthesis\( | \bhalvings\b | \bwidths_of\b
    \bchannels_of\b | \bdef\ (judge|begin|latent|inputs)\( | \bdef\ watch\(self,\ real | \.judge\(
    \bMetric\.(fewest|layers)\b | \bModel\.(latent|given|needs|uses|across|averaged|inputs|judge)\b
    \bData(set)?\.(measured|held_out|validation)\b
    `(given|across|needs|uses|now|begin|judge|averaged|fewest|since|resident|verdict|seat|cards)`
"""
BRITISH = r"""
    colou?rs?(?<=our|urs) | behaviour | neighbour | favour | \bgrey | \bcentre | \blicence | artefact | \banalyse
    (normal|optim|minim|maxim|initial|recogn|summar|organ|regular|standard|visual|equal|serial|custom|general|real)is(e|ed|es|ing|ation|ations|er|ers)\b
    label(led|ling)\b | model(led|ling)\b | cancelled | whilst | fulfil\b
"""
TRANSLATED = r"""
    \bgo(es|ing|ne)?\ on\ with\b | \bto\ the\ bit\b | \bon\ the\ host\b | \bdata\ sets?\b | \bthe\ data\ (do|have)\b
    \bnobody\b | \bThere\ is:\ | ,\ say[.,;] | \bwhatever\b
"""


def pattern_of(words: str) -> re.Pattern[str]:
    lines = [line.strip() for line in words.strip().splitlines()]
    return re.compile("|".join(lines), re.VERBOSE)


def words_in(text: str) -> list[str]:
    """Return the replaced words, the British spellings and the translated phrases of a text."""
    patterns = [pattern_of(OLD_NAMES), *(re.compile(pattern_of(w).pattern, re.X | re.I) for w in (BRITISH, TRANSLATED))]
    return [match[0] for pattern in patterns for match in pattern.finditer(text)]


def texts() -> list[Path]:
    """Return all texts of the project, except records of the past, the translated tutorial and this file."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    skipped = ("docs/decisions/", "docs/tutorial.zh-TW.md", "CHANGELOG.md", "tests/engine/test_house.py")
    suffixes = {".py", ".md", ".toml", ".yml", ".yaml", ".jinja", ".html", ".ipynb", ".cff", ".css", ".js", ".txt", ""}
    paths = (ROOT / line for line in listed.stdout.splitlines() if not line.startswith(skipped))
    return sorted(path for path in paths if path.suffix in suffixes and path.is_file())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git lists the files of a checkout")
def test_replaced_words_are_gone():
    found = {path.relative_to(ROOT).as_posix(): words_in(path.read_text(encoding="utf-8")) for path in texts()}
    assert len(found) > 200
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "text",
    [
        "class Ring(TensorData):",
        "def judge(self, sample, given):",
        "def ganzoo_models():",
        "set ``needs`` to",
        "from ganzoo.training.loop import x",
        "the Colours",
        "it is minimised",
        "Normalisation of grey",
        "To go on with it",
        "resumed to the bit",
        "a tensor on the host",
        "the data set",
        "Nobody knows",
        "a number, say.",
    ],
)
def test_replaced_words_are_seen(text):
    assert words_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "class Ring(TensorDataset):",
        "import ganzoo_losses.classic",
        "the dataset has colors, centers and gray behavior",
        "raise, promise, precise, exercise, otherwise, wise, noise, premise, realism, equalist",
        "`sample_latent` needs a generator",
        "from ganzoo.training.state import TrainingState, training",
        "minimize, normalized, going on within",
    ],
)
def test_other_words_are_not(text):
    assert words_in(text) == []
