"""How the bundled classifier was trained, and how to train it again: ``python -m ganzoo_digits.train``.

Cross-entropy on MNIST's training digits, each shifted, rotated and scaled a little every time; SGD with Nesterov
momentum and a one-cycle learning rate (Smith and Topin, 2017, https://arxiv.org/abs/1708.07120). The test digits are
only used to report the accuracy: the weights after the last epoch are written in any case.
"""

import hashlib
import json
import math
from pathlib import Path

import click
import torch
from ganzoo_mnist.data import MNIST
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from ganzoo.files import write_atomically
from ganzoo.images import from_bytes
from ganzoo_digits.classifier import DigitClassifier

BATCH = 125
MAX_RATE = 0.1
ROTATION, SCALE, SHIFT = math.radians(10), 0.1, 2 / 14  # at most 10 degrees, 10%, two of 28 pixels


@click.command("train")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="Passes over the digits.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed; decides every byte of the file."
)
@click.option(
    "--limit", type=click.IntRange(2 * BATCH, 60_000), default=60_000, help="Use only that many digits, for a test."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("classifier.safetensors"),
    show_default=True,
    help="File to write.",
)
def main(epochs: int, seed: int, limit: int, out: Path) -> None:
    """Train the classifier of digits and write its weights."""
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"There is no folder {out.absolute().parent} to write {out.name} into.")
    torch.manual_seed(seed)
    train, test = (MNIST(split=split).tensors() for split in ("train", "test"))
    images, labels = from_bytes(train["image"][:limit]), train["label"][:limit]  # (n, 1, 28, 28), (n,)
    network = DigitClassifier()
    optimizer = torch.optim.SGD(network.parameters(), lr=MAX_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MAX_RATE, total_steps=epochs * (limit // BATCH))
    for epoch in range(1, epochs + 1):
        network.train()
        for index in torch.randperm(limit)[: limit // BATCH * BATCH].split(BATCH):
            _, logits = network(jitter(images[index]))
            optimizer.zero_grad()
            cross_entropy(logits, labels[index]).backward()
            optimizer.step()
            schedule.step()
        accuracy = measure(network, from_bytes(test["image"][:limit]), test["label"][:limit])
        click.echo(f"epoch {epoch} of {epochs}: {accuracy:.2%} of the test digits")
    notes = {"accuracy": accuracy, "digits": limit, "epochs": epochs, "seed": seed, "torch": torch.__version__}
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    content = save(weights, {"training": json.dumps(notes)})  # one entry: the order of several would be random
    write_atomically(out, content)
    click.echo(f"{out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


def jitter(images: Tensor) -> Tensor:
    """Return images (n, 1, 28, 28) in [-1, 1], each randomly rotated, scaled and shifted; new pixels are -1."""
    turn, scale, x, y = torch.empty(4, len(images)).uniform_(-1, 1)
    turn, scale = turn * ROTATION, 1 + scale * SCALE
    cos, sin = scale * turn.cos(), scale * turn.sin()
    matrices = torch.stack([cos, -sin, x * SHIFT, sin, cos, y * SHIFT], 1).view(-1, 2, 3)
    places = affine_grid(matrices, list(images.shape), align_corners=False)
    return grid_sample(images + 1, places, align_corners=False) - 1  # grid_sample pads with 0


@torch.no_grad()
def measure(network: DigitClassifier, images: Tensor, labels: Tensor) -> float:
    """Return the accuracy on images (n, 1, 28, 28) with labels (n,), in eval mode."""
    network.eval()
    guesses = torch.cat([network(batch)[1].argmax(1) for batch in images.split(250)])
    return (guesses == labels).double().mean().item()


if __name__ == "__main__":
    main()
