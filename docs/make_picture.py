"""Make docs/images/fc-mnist.png from a real run: the same 16 samples after 1, 5, 20 and 100 epochs.

ganzoo run fc-mnist --epochs 100 --out RUN && python docs/make_picture.py RUN
"""

import sys
from pathlib import Path

from PIL import Image

EPOCHS = (1, 5, 20, 100)
STEPS_PER_EPOCH = 1875
TILE = 30  # a digit of 28 pixels and the grid's padding


def main(run: Path) -> None:
    """Cut the first 4 x 4 samples out of each epoch's grid and lay the cuts side by side."""
    side = 4 * TILE + 2
    strip = Image.new("RGB", (len(EPOCHS) * side + (len(EPOCHS) - 1) * 8, side), "white")
    for number, epoch in enumerate(EPOCHS):
        grid = Image.open(run / "samples" / f"fake-{epoch * STEPS_PER_EPOCH:08d}.png")
        strip.paste(grid.crop((0, 0, side, side)), (number * (side + 8), 0))
    larger = strip.resize((strip.width * 3 // 2, strip.height * 3 // 2), Image.Resampling.NEAREST)
    target = Path(__file__).parent / "images" / "fc-mnist.png"
    larger.convert("L").save(target, optimize=True)
    print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
