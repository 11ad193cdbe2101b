"""Random command lines and mutated files, for tests/engine/test_fuzz.py and benchmarks/fuzz.py.

A case is made from a seed only. It is well behaved if the command ends soon, with the exit code 0, 1 or 2, and with
neither a traceback nor the message that says that this is a bug.
"""

import contextlib
import hashlib
import io
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMIT = 20.0  # seconds per case

RECIPE = """\
[tiny]
title = "Tiny"
task = "unconditional"
summary = "Points in the plane"
equation = "min max"
data = { name = "ring8", examples = 256 }
model = { name = "mlp", width = 8, depth = 1, latent_dim = 2 }
loss = "non-saturating"
paper = { title = "T", authors = "A", year = 2014, url = "https://example.org" }
expect = { mode-overlap = ">= 0.01" }

[tiny.penalties.r1]
weight = 0.5

[tiny.optimizer]
name = "adam"
lr = 0.001
betas = [0.5, 0.999]

[tiny.train]
batch_size = 8
steps = 2
sample_count = 4
device = "cpu"
metrics = ["gaussian"]
"""

ODD = [
    "", " ", "0", "-1", "1", "2", "7", "64", "0.5", "-0.0", "1e999", "nan", "inf", "-inf", "true", "false", "none",
    "null", str(2**63), str(-(2**70)), "9" * 5000, "0x" + "f" * 5000, "[" * 1500 + "]" * 1500, "[" * 30 + "]" * 30,
    "[]", "{}", "[1, 2]", "[0.5, 'a']", "{a = 1}", "{name = 'fc'}", "1979-05-27", "07:32:00", "2024-13-45",
    '"text"', "'", '"""', "=", "#", "\\", "/", "..", ".", "~", "\x00", "\x1b[2J", "\u202e", "\U0001f9ea", "ü",
    "\u0663", "a/b", "fc/fc", "x" * 300, "%s", "{0}", "$HOME", "*", "--", "-", "-n", "mnist", "fc", "mlp", "ring8",
    "hinge", "clip", "adam", "cpu", "cuda", "last", "best",
]  # fmt: skip
PATHS = [
    "model.width", "model.depth", "model.latent_dim", "model.name", "model", "data.examples", "data.split",
    "data.name", "loss.name", "loss.discriminator_weight", "penalties.r1.weight", "penalties.r1",
    "penalties.none.x", "optimizer.lr", "optimizer.name", "optimizer.generator.lr", "optimizer.generator",
    "optimizer.betas", "train.batch_size", "train.seed", "train.ema", "augmentations.ada.target", "train.metrics",
    "train.log_every", "train.sample_count", "train.keep", "train.on_collapse", "train.evaluate_every",
    "train.evaluate_samples", "train.cache_on_device", "train.device", "train", "x.y", "model.", ".",
    "prdc.nearest", "model.a.b.c", "a" + ".a" * 2000, "model" + ".a" * 2000, "expect.x", "paper.year",
]  # fmt: skip
OPTIONS = {
    "list": "--kind --task --json",
    "show": "--source",
    "run": (
        "--epochs --steps --batch-size --seed --device --data --model --loss --augmentation "
        "--penalty --checkpoint-every --evaluate-every --on-collapse --set --set --set --out"
    ),
    "resume": "--steps --device --checkpoint-every --evaluate-every --on-collapse",
    "sample": "-n --seed --label -o --checkpoint --device",
    "evaluate": "--metrics -n --seed --checkpoint --extractor --weights --sha256 --real --set --json",
    "reproduce": "--seeds -n --command --out --replace",
    "export": "--format -o --checkpoint",
    "new": "--out --in-tree",
    "compare": "--json",
    "report": "-o --checkpoint --seed",
    "film": "-o --fps --name",
}
FLAGS = {"--json", "--source", "--real", "--replace", "--in-tree"}
CAPS = {
    "run": ["--steps", "1", "--device", "cpu"],
    "resume": ["--steps", "3", "--device", "cpu"],
    "evaluate": ["-n", "70"],
    "reproduce": ["--command", "x"],
    "export": ["--format", "torch"],
    "sample": ["-n", "3"],
}
"""What is appended: without a limit, a command that is right takes long."""
GOOD = {
    "--kind": "recipes models plugins metrics",
    "--task": "unconditional image",
    "--data": "ring8 grid25",
    "--model": "mlp fc",
    "--loss": "hinge wasserstein minimax",
    "--augmentation": "none ada apa diffaugment instance-noise",
    "--penalty": "none r1 clip gradient-penalty",
    "--device": "cpu auto",
    "--on-collapse": "warn stop rollback",
    "--out": "out a/b/c run .",
    "-o": "a.png a.npz a.pt pictures a.html a.gif a.webp a.pt2 run/recipe.toml/a.png",
    "--checkpoint": "last best 1 2 3",
    "--metrics": "gaussian fd prdc kd gaussian,fd",
    "--extractor": "raw mnist",
    "--weights": "run/recipe.toml",
    "--sha256": "0" * 64,
    "--seeds": "0 0,1 1,1",
    "--command": "ganzoo ganzoo\u00a0run",
    "--format": "torch onnx",
    "--name": "fake real",
}


@dataclass
class Problem:
    """A case that is not well behaved."""

    seed: int
    arguments: list[str]
    what: str

    def __str__(self) -> str:
        shown = [argument if len(argument) < 80 else argument[:77] + "..." for argument in self.arguments]
        return f"seed {self.seed}: {shown!r}\n{self.what}"


class Fuzz:
    """Runs cases in a folder.

    Args:
        folder: an empty folder.
        registry: the registry file of an installed plugin, which cases overwrite.
    """

    def __init__(self, folder: Path, registry: Path) -> None:
        import ganzoo

        self.folder, self.registry = folder, registry
        self.trained = folder / "trained"
        (folder / "tiny.toml").write_text(RECIPE)
        ganzoo.train(folder / "tiny.toml", out=self.trained, steps=2, checkpoint_every=1)
        with contextlib.suppress(ganzoo.GanzooError):
            ganzoo.load(self.trained).evaluate(n=70)

    def run(self, seed: int) -> Problem | None:
        """Run one case; return what is wrong with it."""
        from ganzoo.cli import invoke

        rng = random.Random(seed)
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        os.chdir(place)
        shutil.copytree(self.trained, "run")
        Path("tiny.toml").write_text(RECIPE)
        self.registry.write_text(RECIPE)
        self._mutate_something(rng)
        arguments = command_line(rng)
        out, began = io.StringIO(), time.monotonic()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), _limited():
                code: object = invoke(arguments)
        except SystemExit as stop:
            code = f"SystemExit {stop.code!r}"
        except BaseException:
            code = traceback.format_exc()
        text = out.getvalue()
        bad = code not in (0, 1, 2) or "Traceback" in text or "This is a bug" in text
        if bad or time.monotonic() - began > LIMIT:
            what = f"exit code {code}, after {time.monotonic() - began:.0f} s\n{text[-3000:]}"
            return Problem(seed, arguments, what)
        return None

    def _mutate_something(self, rng: random.Random) -> None:
        targets = [Path("tiny.toml"), self.registry]
        targets += [Path("run", name) for name in ("recipe.toml", "run.json", "metrics.jsonl", "evaluations.jsonl")]
        newest = max(Path("run/checkpoints").iterdir())
        targets += [newest / "state.json", newest / "weights.safetensors"]
        for path in rng.sample(targets, rng.choice([0, 1, 1, 2])):
            if path.exists():
                path.write_bytes(mutated(path.read_bytes(), rng))
        if rng.random() < 0.5:  # a checkpoint that was edited, with sums that fit
            files = [path for path in sorted(newest.iterdir()) if path.name != "SHA256SUMS"]
            sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
            (newest / "SHA256SUMS").write_text("".join(sums))


def command_line(rng: random.Random) -> list[str]:
    """Return random arguments of ``ganzoo``."""
    command = rng.choice([*OPTIONS, "run", "run", "show", "list", rng.choice(ODD)])
    recipe = rng.choice(["tiny.toml", "tiny.toml", "tiny.toml", "fuzzed/tiny", "run/recipe.toml", rng.choice(ODD)])
    subject = {"show": recipe, "run": recipe, "reproduce": recipe, "list": None, "new": rng.choice(ODD)}
    first = subject.get(command, rng.choice([*["run"] * 8, ".", rng.choice(ODD)]))
    arguments = [command] if first is None else [command, first]
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        option = rng.choice(OPTIONS.get(command, "--help --version").split())
        if option == "--set":
            arguments += [option, rng.choice(PATHS) + rng.choice(["=", "=", "=", ""]) + rng.choice(ODD)]
        else:
            good = GOOD.get(option, "1 2").split()
            arguments += [option] if option in FLAGS else [option, rng.choice([rng.choice(good), rng.choice(ODD)])]
    if rng.random() < 0.1:
        arguments.insert(rng.randrange(len(arguments) + 1), rng.choice(ODD))
    if command == "reproduce" and rng.random() < 0.05:
        arguments += ["--seeds", "0", "-n", "70", "--command", "ganzoo run tiny.toml --steps 1"]
    else:
        arguments += CAPS.get(command, [])
    return [argument.replace("\0", "") for argument in arguments]  # no system passes a NUL


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return content with a few random changes."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice([0, 1, 3, 10, 100]))
        odd = rng.choice(ODD).encode("utf-8", "replace")
        lines = content.split(b"\n")
        match rng.randrange(7):
            case 0:
                content = content[:start] + content[end:]
            case 1:
                content = content[:start] + odd + content[start:]
            case 2:
                content = content[:start]
            case 3:
                content = content[:start] + rng.randbytes(end - start) + content[end:]
            case 4:
                rng.shuffle(lines)
                content = b"\n".join(lines)
            case 5:
                content = b"\n".join([*lines, rng.choice(lines)])
            case _:  # another value after an equals sign or a colon
                sign = rng.choice([b" = ", b": "])
                pieces = content.split(sign)
                n = rng.randrange(len(pieces))
                pieces[n] = odd + pieces[n][pieces[n].find(b"\n") :] if n and b"\n" in pieces[n] else pieces[n]
                content = sign.join(pieces)
    return content


class Hang(BaseException):
    """A case takes too long."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise an exception within the block when it takes too long, where the system can."""
    if sys.platform == "win32":
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Hang(f"more than {LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
