"""The options that datasets of pictures share."""

from typing import Annotated, Literal

from ganzoo import Option
from ganzoo_images import decode

Path = Annotated[str, Option("Folder of pictures", min_length=1)]
Size = Annotated[int | str, Option("Pixels per side, or HEIGHTxWIDTH such as 64x128")]
Channels = Annotated[decode.Channels, Option("Gray, color, or with transparency; auto: gray if all pictures are")]
AnyChannels = Annotated[
    decode.Channels | int,
    Option("Gray, color, or with transparency; auto: gray if all pictures are; or the number that all pictures have"),
]
GivenChannels = Annotated[
    Literal["gray", "color", "alpha"], Option("Gray, color, or with transparency: what every picture becomes")
]
Background = Annotated[decode.Background, Option("Color behind transparent and around padded pictures")]
Fit = Annotated[decode.Fit, Option("How pictures get their size: cut, padded, or stretched")]
Range = Annotated[
    tuple[float, float] | None,
    Option("Levels of gray pictures with over 8 bits that become black and white"),
]
FolderRange = Annotated[
    tuple[float, float] | Literal["measured"] | None,
    Option("Levels of gray pictures with over 8 bits that become black and white; measured: least and greatest"),
]
Labels = Annotated[
    str | None, Option("File of labels: CSV, or StyleGAN's dataset.json, which is found if it is in the folder")
]
Pages = Annotated[Literal["all", "first"], Option("Pages of a TIFF that are used, each as a picture")]
MaxPixels = Annotated[int | None, Option("Refuse larger pictures; 358 million pixels by default", ge=1)]
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
