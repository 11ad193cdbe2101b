"""Many random command lines, registries, recipes and run directories: python benchmarks/fuzz.py --count 5000

It prints each case that ends in a traceback, in the message that says that this is a bug, in another exit code than 0,
1 or 2, or not within 20 seconds. A seed makes the same case again: --first SEED --count 1.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.fuzzing import RECIPE, Fuzz


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="number of cases")
    parser.add_argument("--first", type=int, default=1_000_000, help="seed of the first case")
    arguments = parser.parse_args()
    began, found = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as temporary:
        site, folder = Path(temporary, "site"), Path(temporary, "fuzz")
        info = site / "fuzzed-1.0.dist-info"
        info.mkdir(parents=True)
        folder.mkdir()
        registry = site / "registry.toml"
        registry.write_text(RECIPE)
        source = "from pathlib import Path\nfrom ganzoo import hookimpl\n@hookimpl\ndef ganzoo_registry():\n"
        (site / "fuzzed.py").write_text(f"{source}    return Path({str(registry)!r})\n")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fuzzed\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[ganzoo]\nfuzzed = fuzzed\n")
        sys.path.insert(0, str(site))
        os.chdir(folder)
        fuzz = Fuzz(folder, registry)
        for seed in range(arguments.first, arguments.first + arguments.count):
            if problem := fuzz.run(seed):
                found += 1
                print(f"{problem}\n", flush=True)
        os.chdir("/")
    print(f"{arguments.count} cases, {found} problems, {time.monotonic() - began:.0f} seconds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
