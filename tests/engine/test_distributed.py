"""Several processes train one run, started by the real torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ganzoo as package
from tests.together import QUICK, RECIPES, STEPS

ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


def torchrun(count: int, *arguments: object, **options: object) -> subprocess.Popen:
    """Start processes; their output is that of the launcher."""
    command = [*TORCHRUN, f"--nproc-per-node={count}", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, preexec_fn=_listen, **{**pipes, **options})


def _listen() -> None:
    """Background jobs ignore these signals, and so would their children."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def ring(out: Path, *more: object) -> list[object]:
    """The arguments of a short training."""
    quick = ["--checkpoint-every", 100, "--set", "train.sample_count=2", "--evaluate-every", 0, "--device", "cpu"]
    return ["-m", "ganzoo", "run", "fc-ring8", "--batch-size", 12, "--out", out, *quick, *more]


def losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name.startswith("loss/")} for line in lines]


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step:08d}" / "weights.safetensors")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Return a folder and what each of so many processes found, once they have trained."""

    @cache
    def train(count: int) -> tuple[Path, list[dict]]:
        folder = tmp_path_factory.mktemp("together")
        names = RECIPES if count == 2 else ["ring8", "digits"]
        code, _, err = finished(torchrun(count, ROOT / "tests/together.py", folder, *names))
        assert code == 0, err
        return folder, [json.loads((folder / f"found-{rank}.json").read_text()) for rank in range(count)]

    return train


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The same runs in this process."""
    folder = tmp_path_factory.mktemp("alone")
    for name in ("ring8", "digits", "synced"):
        recipe, steps, batch_size, settings = RECIPES[name]
        settings = {**QUICK, **settings}
        package.train(recipe, out=folder / name, steps=steps, batch_size=batch_size, device="cpu", settings=settings)
    return folder


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", ["ring8", "digits"])
def test_the_losses_do_not_depend_on_the_number_of_processes(together, alone, name, count):
    folder, _ = together(count)
    mine, theirs = losses(alone / name), losses(folder / name)
    assert len(mine) == len(theirs) == STEPS
    for one, other in zip(mine, theirs, strict=True):
        assert other == pytest.approx(one, abs=1e-4)


def test_synchronized_batch_normalization_is_that_of_the_whole_batch(together, alone):
    folder, found = together(2)
    for each in found:
        for what, numbers in each["alone"].items():
            assert each["together"][what] == pytest.approx(numbers, rel=1e-9, abs=1e-12), what
        assert each["offset"] < 0.01  # rounding the input alone gives 0.0002
    (first, _), (same, _) = losses(alone / "synced"), losses(folder / "synced")
    assert same == pytest.approx(first, rel=1e-4)
    assert losses(folder / "local")[0] != pytest.approx(first, rel=1e-3)


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> dict[str, torch.Tensor]:
    """The weights of an undisturbed run of two processes, after 1,000 steps."""
    out = tmp_path_factory.mktemp("full") / "run"
    assert finished(torchrun(2, *ring(out, "--steps", 1000)))[0] == 0
    return weights(out, 1000)


@pytest.mark.parametrize("name", RECIPES)
def test_all_processes_have_the_same_state_and_noise_of_their_own(together, name):
    _, found = together(2)
    assert found[0]["states"][name]
    for other in found[1:]:
        assert other["states"][name] == found[0]["states"][name]
        assert other["noise"][name] != found[0]["noise"][name]


def test_one_process_prints_and_writes(workplace):
    code, out, _ = finished(torchrun(2, *ring(Path("run"), "--steps", 200, "--evaluate-every", 200)))
    assert code == 0
    assert out.count("Done: step 200, in run") == out.count("fc-ring8: data ring8") == 1
    assert len(losses(Path("run"))) == 2
    assert len(list(Path("run").glob("events.*"))) == 1
    assert Path("run/evaluations.jsonl").read_text().count("modes") > 0


def test_a_resume_is_bit_exact_also_after_a_stop_and_with_fewer_processes_it_goes_on(workplace, full):
    process = torchrun(2, *ring(Path("half"), "--steps", 1000))
    wait_for(Path("half/checkpoints/step-00000200"))
    process.send_signal(signal.SIGTERM)  # torchrun passes it on
    code, _, err = finished(process)
    assert code != 0
    assert err.count("Interrupted by SIGTERM at step ") == 1
    assert "torchrun --nproc-per-node 2 -m ganzoo resume half" in err
    step = json.loads(Path("half/run.json").read_text())["step"]
    assert 200 <= step < 1000
    subprocess.run(["cp", "-r", "half", "fewer"], check=True)

    code, out, err = finished(torchrun(2, "-m", "ganzoo", "resume", "half"))
    assert (code, out.count("Done: step 1000")) == (0, 1), err
    half = weights(Path("half"), 1000)
    assert all(torch.equal(half[name], value) for name, value in full.items())

    run = package.resume("fewer")
    assert run.step == 1000
    assert all(value.isfinite().all() for value in run.model.state_dict().values())


def test_a_killed_worker_is_started_again_and_the_run_goes_on(workplace, full):
    process = torchrun(2, "--max-restarts=1", *ring(Path("killed"), "--steps", 1000))
    wait_for(Path("killed/checkpoints/step-00000200"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if "run\0fc-ring8" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(int(workers[-1]), signal.SIGKILL)
    code, out, err = finished(process)
    assert (code, out.count("Done: step 1000, in killed")) == (0, 1), err
    assert "Another process has failed or was killed" in err
    killed = weights(Path("killed"), 1000)
    assert all(torch.equal(killed[name], value) for name, value in full.items())


def test_workers_whose_launcher_was_killed_save_and_stop(workplace):
    process = torchrun(2, *ring(Path("run"), "--steps", 1000000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(Path("run/checkpoints/step-00000200"))
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while (status := json.loads(Path("run/run.json").read_text()))["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status["state"] == "interrupted"
    assert (Path("run/checkpoints") / f"step-{status['step']:08d}").exists()


DISAGREEMENT = """
import os
import ganzoo
settings = {"train.sample_count": 2}
first = os.environ["RANK"] == "0"
more = {"optimizer.lr": 1e-4 if first else 1e-3} if "%s" == "rate" else {"data.examples": 100 if first else 200}
ganzoo.train("fc-ring8", steps=2, batch_size=4, device="cpu", out="run", settings={**settings, **more})
"""


@pytest.mark.parametrize("what", ["rate", "data"])
def test_processes_that_disagree_are_refused(workplace, what):
    Path("script.py").write_text(DISAGREEMENT % what)
    code, _, err = finished(torchrun(2, "script.py"))
    assert code != 0
    assert err.count("The processes disagree on the ") == 1
    assert not Path("run").exists()


TWICE = """
import ganzoo
for seed in (0, 1):
    settings = {"train.sample_count": 2, "train.evaluate_every": 2, "train.evaluate_samples": 100}
    ganzoo.train("fc-ring8", steps=2, batch_size=4, device="cpu", seed=seed, out=f"run-{seed}", settings=settings)
"""


def test_a_script_may_train_twice(workplace):
    Path("script.py").write_text(TWICE)
    code, _, err = finished(torchrun(2, "script.py"))
    assert code == 0, err
    assert [json.loads(Path(f"run-{seed}/run.json").read_text())["state"] for seed in (0, 1)] == ["finished"] * 2


def test_a_stop_saves_also_with_loader_processes(workplace):
    """torchrun sends the signal to these too."""
    loaders = ["--set", "train.cache_on_device=never", "--set", "train.num_workers=1"]
    process = torchrun(2, *ring(Path("run"), "--steps", 1000000, *loaders))
    wait_for(Path("run/checkpoints/step-00000100"))
    process.send_signal(signal.SIGTERM)
    code, _, err = finished(process)
    assert code != 0
    assert "Interrupted by SIGTERM at step " in err, err
    status = json.loads(Path("run/run.json").read_text())
    assert (status["state"], status["saved"]) == ("interrupted", status["step"])


def test_mistakes_are_reported_once(workplace):
    for arguments, message in (
        (["-m", "ganzoo", "run", "fc-rign8"], "Did you mean 'fc-ring8'?"),
        (ring(Path("run"), "--steps", 2, "--batch-size", 15), "train.batch_size = 15 cannot be shared by 2 processes"),
        (["-m", "ganzoo", "evaluate", "run"], "evaluate runs in one process"),
    ):
        code, _, err = finished(torchrun(2, *arguments))
        assert code != 0
        assert err.count(message) == 1, err
    assert not Path("run").exists()


def test_a_launcher_that_does_not_say_where_to_meet_is_explained(ganzoo, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    result = ganzoo("run", "fc-mnist", "--steps", 1, "--out", "run")
    assert result.code == 2
    assert "did not set MASTER_ADDR. Use torchrun: " in result.err
    assert not Path("run").exists()
