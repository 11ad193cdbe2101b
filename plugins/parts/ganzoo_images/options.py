"""The options that datasets of pictures share."""

from typing import Annotated, Literal

from ganzoo import Option
from ganzoo_images import decode

Path = Annotated[str, Option("Folder of pictures", min_length=1)]
Size = Annotated[int, Option("Pixels per side: the shorter side is resized to it, the center is kept", ge=4, le=4096)]
Channels = Annotated[decode.Channels, Option("Gray or color; auto: gray if all pictures are")]
Background = Annotated[decode.Background, Option("Color behind transparent and around padded pictures")]
Fit = Annotated[decode.Fit, Option("How pictures become square: cut, padded, or stretched")]
Range = Annotated[
    tuple[float, float] | None, Option("Levels of gray pictures with over 8 bits that become black and white")
]
Mirror = Annotated[bool, Option("Mirror half of the pictures at random")]
Broken = Annotated[Literal["skip", "stop"], Option("What to do about unreadable pictures")]
Split = Literal["train", "validation", "test"]
Splits = Annotated[
    Split | tuple[Split, ...], Option("Which part of the folder to use, if it has several; of a list, the first it has")
]
EVALUATION = ["test", "validation", "train"]
"""The value of ``split`` in evaluations: held-out pictures if there are any."""
VALIDATION = ["validation", "test", "train"]
"""The same for evaluations during training, which choose the best checkpoint."""
CacheFolder = Annotated[
    str | None, Option("Folder for decoded pictures, instead of ~/.cache/ganzoo (or $XDG_CACHE_HOME/ganzoo)")
]
