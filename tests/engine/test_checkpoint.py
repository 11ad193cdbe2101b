"""Checkpoints are valid or refused; a run directory survives damage, a full disk and a second process."""

import json
import random
import shutil
import subprocess
import sys

import pytest
import torch

import ganzoo
from ganzoo.runs import checkpoint
from ganzoo.runs.checkpoint import Checkpoint, Damaged
from tests.conftest import TINY


def example(step: int = 7) -> Checkpoint:
    network = torch.nn.Linear(6, 4)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(2, 6)).sum().backward()
    optimizer.step()
    tensors, structure = checkpoint.pack({"optimizer": optimizer.state_dict()})
    weights = checkpoint.to_cpu(network.state_dict())
    return Checkpoint(step, weights, {"a": torch.ones(3)}, tensors, {"structure": structure, "best": {"fid": 1.5}})


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path):
    saved = example()
    loaded = checkpoint.load(checkpoint.save(tmp_path, saved, keep=1))
    assert (loaded.step, loaded.rest) == (7, saved.rest)
    for part in ("weights", "ema", "training"):
        ours, theirs = getattr(loaded, part), getattr(saved, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    state = checkpoint.unpack(loaded.training, loaded.rest["structure"])["optimizer"]
    assert state["param_groups"][0]["betas"] == (0.9, 0.999)
    assert set(state["state"]) == {0, 1}


@pytest.mark.parametrize("attempt", range(50))
def test_any_flipped_or_cut_byte_is_detected(tmp_path, attempt):
    path = checkpoint.save(tmp_path, example(), keep=1)
    chance = random.Random(attempt)
    file = chance.choice(sorted(path.iterdir()))
    content = bytearray(file.read_bytes())
    at = chance.randrange(len(content))
    match attempt % 3:
        case 0:
            content[at] ^= 1 << chance.randrange(8)
        case 1:
            content[at] = (content[at] + chance.randrange(1, 256)) % 256
        case 2:
            content = content[:at]
    file.write_bytes(content)
    with pytest.raises(Damaged, match="step-00000007"):
        checkpoint.load(path)


@pytest.mark.parametrize("name", ["weights.safetensors", "ema.safetensors", "state.json", "SHA256SUMS"])
def test_a_missing_file_is_detected(tmp_path, name):
    path = checkpoint.save(tmp_path, example(), keep=1)
    (path / name).unlink()
    with pytest.raises(Damaged):
        checkpoint.load(path)


def test_the_tool_sha256sum_verifies_a_checkpoint(tmp_path):
    if not shutil.which("sha256sum"):
        pytest.skip("no sha256sum on this system")
    path = checkpoint.save(tmp_path, example(), keep=1)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=path, check=True, capture_output=True)


def test_the_newest_checkpoints_are_kept(tmp_path):
    for step in (1, 2, 10, 3000000000, 4):
        checkpoint.save(tmp_path, example(step), keep=3)
    assert [checkpoint.step_of(path) for path in checkpoint.saved(tmp_path)] == [3000000000, 10, 4]
    assert len(list(tmp_path.iterdir())) == 3


def test_resume_falls_back_to_the_previous_valid_checkpoint(ganzoo, workplace):
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 30, "--checkpoint-every", 10, "--out", "run").code == 0
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 40, "--checkpoint-every", 10, "--out", "undisturbed").code == 0
    damaged = workplace / "run/checkpoints/step-00000030/training.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-5])
    result = ganzoo("resume", "run", "--steps", 40)
    assert result.code == 0, result.err
    assert "step-00000030" in result.err
    assert "training.safetensors" in result.err
    assert "Using the previous one." in result.err
    assert "from step 20" in result.out
    newest = [
        checkpoint.load(next(checkpoint.saved(workplace / run / "checkpoints"))) for run in ("run", "undisturbed")
    ]
    assert all(torch.equal(newest[0].weights[name], newest[1].weights[name]) for name in newest[1].weights)


def test_no_valid_checkpoint_is_a_clear_error(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    (workplace / "run/checkpoints/step-00000005/state.json").write_text("{}")
    for command in (["resume", "run", "--steps", 9], ["sample", "run"]):
        result = ganzoo(*command)
        assert result.code == 1
        assert "No checkpoint of run is valid" in result.err
        assert "Traceback" not in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="the module resource is for POSIX systems")
def test_a_full_disk_stops_the_run_and_loses_nothing(ganzoo, workplace):
    """A limit on file sizes makes the real write fail halfway, as a full disk does."""
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 10, "--checkpoint-every", 10, "--out", "run").code == 0
    starved = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        "from ganzoo.cli import invoke; sys.exit(invoke(['resume', 'run', '--steps', '20']))"
    )
    result = subprocess.run([sys.executable, "-c", starved], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1, result.stderr
    assert "stopped at step 20 because of a system error: File too large" in result.stderr
    assert "step-00000010" in result.stderr
    assert "ganzoo resume run" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads((workplace / "run/run.json").read_text())["state"] == "failed"
    assert [p.name for p in (workplace / "run/checkpoints").iterdir()] == ["step-00000010"]
    assert ganzoo("resume", "run", "--steps", 20).code == 0
    assert ganzoo("run", "fc-mnist", *TINY, "--steps", 20, "--checkpoint-every", 10, "--out", "undisturbed").code == 0
    ours, theirs = (checkpoint.load(workplace / run / "checkpoints/step-00000020") for run in ("run", "undisturbed"))
    assert all(torch.equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)


def test_a_directory_in_use_is_refused(ganzoo, workplace):
    ganzoo("run", "fc-mnist", *TINY, "--steps", 5, "--out", "run")
    hold = "import filelock; lock = filelock.FileLock('run/.lock'); lock.acquire(); print('held', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline().strip() == b"held"
        result = ganzoo("resume", "run", "--steps", 9)
    finally:
        holder.communicate(b"\n")
    assert result.code == 1
    assert "in use by another process" in result.err
    assert ganzoo("resume", "run", "--steps", 9).code == 0


def test_a_loss_that_is_not_finite_stops_the_run(ganzoo, workplace):
    result = ganzoo(
        "run", "fc-mnist", *TINY, "--steps", 200, "--set", "optimizer.lr=1e30", "--checkpoint-every", 1, "--out", "run"
    )
    assert result.code == 1
    assert "Training stopped: " in result.err
    assert "at step" in result.err
    status = json.loads((workplace / "run/run.json").read_text())
    assert status["state"] == "failed"
    assert "nan" in status["reason"] or "inf" in status["reason"]
    for path in checkpoint.saved(workplace / "run/checkpoints"):
        assert all(value.isfinite().all() for value in checkpoint.load(path).weights.values())


def test_no_file_of_a_run_is_a_pickle(workplace):
    run = ganzoo.train("fc-mnist", steps=3, batch_size=16, settings={"data.split": "test"}, out="run")
    names = sorted(path.name for path in run.directory.glob("checkpoints/*/*"))
    assert names == ["SHA256SUMS", "state.json", "training.safetensors", "weights.safetensors"]
    assert not [path for path in run.directory.rglob("*") if path.is_file() and path.read_bytes()[:1] == b"\x80"]
