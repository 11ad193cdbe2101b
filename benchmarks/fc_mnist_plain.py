"""How good the fully connected GAN gets in the plain tutorial loop: the same numbers as `ganzoo evaluate` prints.

    python benchmarks/fc_mnist_plain.py --epochs 20 --seeds 0,1,2

Trains plain_tutorial.py once a seed (in a process of its own), puts its generator into ganzoo's model, and measures
10,000 samples as ganzoo measures its own: what stands beside the evidence of fc-mnist in docs/evaluation.md.
"""

import argparse
import lzma
import statistics
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import load_file

from ganzoo.evaluation.evaluator import Evaluator
from ganzoo.training.experiment import build
from ganzoo.zoo import Zoo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="a folder for the generators; those that are there are not retrained")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        raw = Path(temporary, "MNIST", "raw")
        raw.mkdir(parents=True)
        for packed in files("ganzoo_mnist").joinpath("mnist").iterdir():
            if packed.name.endswith(".xz"):
                (raw / packed.name.removesuffix(".xz")).write_bytes(lzma.decompress(packed.read_bytes()))
        generators = {}
        for seed in seeds:
            path = folder / f"plain-{arguments.epochs}-{seed}.safetensors"
            command = [sys.executable, str(Path(__file__).with_name("plain_tutorial.py")), temporary]
            command += ["--epochs", str(arguments.epochs), "--seed", str(seed), "--save", str(path)]
            if not path.exists():
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            generators[seed] = load_file(path)

    zoo = Zoo()
    experiment = build(zoo, zoo.recipe("fc-mnist"))
    model = experiment.model.eval()
    evaluator = Evaluator(zoo, experiment.dataset, model, n=arguments.samples, seed=0, device=torch.device("cpu"))
    values: dict[str, list[float]] = {}
    for seed, weights in generators.items():
        model.generator.load_state_dict(weights)
        for result in evaluator.measure(model):
            values.setdefault(result.name, []).append(result.score.value)
            print(f"seed {seed}  {result.name:<16} {result.score.value:.6g}", flush=True)
    for name, series in values.items():
        spread = f" +- {statistics.stdev(series):.3g}" if len(series) > 1 else ""
        print(f"{name:<16} {statistics.fmean(series):.6g}{spread}")


if __name__ == "__main__":
    main()
