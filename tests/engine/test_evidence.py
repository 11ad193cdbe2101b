"""Evidence files: written and read, malformed, and beside the registry file of another package."""

import json
from pathlib import Path

import pytest

from ganzoo import UsageError, Zoo, evidence
from ganzoo.zoo import builtin_registry

FULL = {
    "result": 'fd "raw" 0.5 ± 0.1 (2 seeds)',
    "command": r"ganzoo run my-gan --set data.folder='C:\new'",
    "measured": "2026-01-31",
    "seeds": [0, 1],
    "samples": 10000,
    "cpu_minutes": 0.25,
    "machine": "Linux, 2 CPU cores",
    "commit": "0123456789+",
    "versions": {"ganzoo": "0.1.0", "torch": "2.5.0+cpu"},
    "last": {
        "fd-raw": {"mean": 0.5, "spread": 1e-07, "values": [0.4, 0.6]},
        "precision@5, of the classifier": {"mean": 3.0},
    },
    "best": {"fd-raw": {"mean": -1.5e30, "spread": 0.0, "values": []}},
}
RECIPE = '[{name}]\ndata = "mnist"\nmodel = "fc"\nloss = "non-saturating"\n'


@pytest.fixture
def registry(install, tmp_path) -> Path:
    """The registry file of a plugin from another package, with the recipes my-gan and other-gan."""
    path = tmp_path / "package" / "registry.toml"
    path.parent.mkdir()
    path.write_text(RECIPE.format(name="my-gan") + RECIPE.format(name="other-gan"))
    install("stranger", f"from ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return {str(path)!r}")
    return path


@pytest.mark.parametrize("keys", [FULL.keys(), [], ["result"], ["last"], ["command", "best"]])
def test_evidence_is_read_as_it_was_written(tmp_path, keys):
    registry, expected = tmp_path / "registry.toml", {key: FULL[key] for key in keys}
    path = evidence.write(registry, "my-gan", expected)
    assert path == tmp_path / "evidence/my-gan.toml"
    assert evidence.read(registry, "my-gan") == expected
    assert [file.name for file in path.parent.iterdir()] == ["my-gan.toml"]


def test_evidence_has_one_line_per_entry_and_per_metric(tmp_path):
    path = evidence.write(tmp_path / "registry.toml", "my-gan", FULL)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "samples = 10000" in lines
    assert "fd-raw = { mean = 0.5, spread = 1e-07, values = [0.4, 0.6] }" in lines
    assert '"precision@5, of the classifier" = { mean = 3.0 }' in lines
    assert len(lines) == 1 + 9 + 2 + 2 + 2 + 1  # a comment, entries, two heads with blank lines, metrics


def test_a_recipe_without_an_evidence_file_has_no_evidence(tmp_path):
    assert evidence.read(tmp_path / "registry.toml", "my-gan") == {}


def test_evidence_of_another_package_is_beside_its_registry_file(ganzoo, registry):
    evidence.write(registry, "my-gan", FULL)
    listed = {row["name"]: row for row in json.loads(ganzoo("list", "--json").out)}
    assert listed["my-gan"]["evidence"] == FULL["result"]
    assert listed["my-gan"]["plugin"] == "stranger"
    assert listed["other-gan"]["evidence"] == ""
    shown = ganzoo("show", "my-gan").out
    assert FULL["result"] in shown
    assert "0.5 ± 1e-07" in shown
    assert "none yet" in ganzoo("show", "other-gan").out


def test_evidence_of_the_builtin_recipes_is_in_docs_of_a_checkout(tmp_path):
    assert evidence.path_of(builtin_registry(), "fc-mnist").is_file()
    (tmp_path / "docs/evidence").mkdir(parents=True)
    assert evidence.path_of(tmp_path / "registry.toml", "a") == tmp_path / "docs/evidence/a.toml"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("result = ", "Cannot read the evidence"),
        (b"\xff", "Cannot read the evidence"),
        ("reslut = 'good'", "Unknown key 'reslut'"),
        ("reslut = 'good'", "Did you mean 'result'?"),
        ("result = 5", "result in"),
        ("samples = 5.0", "must be of type int"),
        ("samples = true", "must be of type int"),
        ("last = []", "must be of type dict"),
        ("last = { fd = 3 }", "fd must be a table with mean = NUMBER, not 3"),
        ("last = { fd = { spread = 3 } }", "fd must be a table with mean = NUMBER"),
        ("best = { fd = { mean = 3, spread = 'x' } }", "fd.spread must be a number, not 'x'"),
    ],
)
def test_a_malformed_evidence_file_is_listed_as_broken_and_does_no_harm(ganzoo, registry, content, complaint):
    path = evidence.path_of(registry, "my-gan")
    path.parent.mkdir()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=r"evidence.my-gan\.toml"):
        evidence.read(registry, "my-gan")
    result = ganzoo("list")
    assert result.code == 0, result.err
    assert "fc-mnist" in result.out
    assert "my-gan" in result.out
    assert "Broken (1):" in result.out
    assert "stranger (of stranger 1.0)" in result.out
    assert complaint in result.out
    shown = ganzoo("show", "my-gan")
    assert shown.code == 0
    assert complaint in shown.out
    assert ganzoo("reproduce", "my-gan").code == 2
    zoo = Zoo()
    assert [zoo.evidence(zoo.entry("my-gan")) for _ in range(2)] == [{}, {}]
    assert [problem.plugin.name for problem in zoo.broken] == ["stranger"]  # once


def test_a_malformed_evidence_file_is_replaced_if_the_command_is_given(ganzoo, registry, workplace):
    path = evidence.path_of(registry, "my-gan")
    path.parent.mkdir()
    path.write_text("= garbage")
    command = "ganzoo run my-gan --steps 2 --batch-size 2 --set data.split=test"
    result = ganzoo("reproduce", "my-gan", "--seeds", "0", "-n", 1000, "--command", command)
    assert result.code == 0, result.err
    assert evidence.read(registry, "my-gan")["command"] == command
