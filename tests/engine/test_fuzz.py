"""Random command lines, registries, recipes and run directories: every mistake is a message, and nothing hangs.

``python benchmarks/fuzz.py --count 5000`` runs more of them.
"""

import time

from tests.fuzzing import RECIPE, Fuzz

SECONDS = 15
SOURCE = "from pathlib import Path\nfrom ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry(): return Path({!r})\n"


def test_random_command_lines_and_files_end_in_messages(install, tmp_path, monkeypatch):
    registry = tmp_path / "registry.toml"
    registry.write_text(RECIPE)
    install("fuzzed", SOURCE.format(str(registry)))
    folder = tmp_path / "fuzz"
    folder.mkdir()
    monkeypatch.chdir(folder)
    fuzz = Fuzz(folder, registry)
    began, count = time.monotonic(), 0
    while count < 300 and (time.monotonic() - began < SECONDS or count < 50):
        problem = fuzz.run(count)
        assert problem is None, str(problem)
        count += 1
