"""What the kernel distance and precision say about 382 pictures that are worse than real ones in a known way: the table
'Few pictures' in docs/evaluation.md.

    python benchmarks/small_sets.py

The test pictures of emoji are on one side, and as many changed training pictures on the other. Needs the extra
'features'; takes about five minutes on one core.
"""

import torch
from torchvision.transforms.v2.functional import gaussian_blur

from ganzoo import Samples, TensorDataset, Zoo
from ganzoo.evaluation.extractors import Extractor

ZOO = Zoo()


def sides() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the real pictures, and name -> the changed ones, uint8 (382, 3, 64, 64)."""
    emoji = ZOO.part("data", "emoji").load()
    train, test = (emoji(split=split).tensors()["image"] for split in ("train", "test"))
    n, rng = len(test), torch.Generator().manual_seed(0)
    some = train[torch.randperm(len(train), generator=rng)[:n]]
    noisy = (some.float() + 20 * torch.randn(some.shape, generator=rng)).clamp(0, 255).byte()
    return test, {
        "training pictures": some,
        "slightly blurred (1 pixel)": gaussian_blur(some, [5, 5], [1.0, 1.0]),
        "blurred (2 pixels)": gaussian_blur(some, [9, 9], [2.0, 2.0]),
        "noise of 20 levels": noisy,
        "50 of them, repeated": some[torch.arange(n) % 50],
        "3 of them, repeated": some[torch.arange(n) % 3],
        f"their mean, {n} times": train.float().mean(0, keepdim=True).byte().expand(n, -1, -1, -1),
    }


def main() -> None:
    distance, prdc = (ZOO.part("metric", name).load()() for name in ("kd", "prdc"))
    real, changed = sides()
    rows: dict[str, list[str]] = {name: [] for name in changed}
    for extractor in ("lite0", "pyramid"):
        extract = Extractor(ZOO, extractor, ["kid", "prc"], torch.device("cpu"))

        def seen(images: torch.Tensor, extract: Extractor = extract) -> Samples:
            features = extract(images)
            return Samples(images, {}, TensorDataset({"image": images}), 0, None, features.__getitem__)

        reals = seen(real)
        for name, images in changed.items():
            fakes = seen(images)
            rows[name].append(f"{distance.measure(fakes, reals)['kd'].value:.3f}")
            if extractor == "pyramid":
                rows[name].append(f"{prdc.measure(fakes, reals)['precision'].value:.2f}")
    print("| the other side | kd-lite0 | kd-pyramid | precision-pyramid |\n|---|---|---|---|")
    for name, values in rows.items():
        print(f"| {name} | {' | '.join(values)} |")


if __name__ == "__main__":
    main()
