"""How long `ganzoo list` takes, beside an empty Python: the aim is 0.25 s or less.

python benchmarks/list_time.py
"""

import statistics
import subprocess
import sys
import time


def seconds(*arguments: str) -> float:
    """Return the median time of a Python process over eleven runs."""
    times = []
    for _ in range(11):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    print(f"ganzoo list {seconds('-m', 'ganzoo', 'list'):.3f} s, python alone {seconds('-c', ''):.3f} s")
