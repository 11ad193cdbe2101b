"""What an exported generator takes, in words and as code."""

from dataclasses import dataclass

from torch import Tensor

from ganzoo.data import Field
from ganzoo.model import Model

_SHOWN = 8
"""Number of samples that the code draws."""

_NAMED = 8
"""Number of classes that are named."""

CLASS_NAMES = "class_names"
"""Under which a file keeps the names of classes: JSON, input -> the names of 0, 1, ..."""

_FLOATS = {
    "normal": ("standard normal", "np.random.standard_normal({})", "torch.randn({})"),
    "uniform": ("uniform in [-1, 1]", "np.random.uniform(-1, 1, {})", "torch.rand({}) * 2 - 1"),
    "condition": ("as in the dataset", "np.random.uniform(-1, 1, {})", "torch.rand({}) * 2 - 1"),
    "": ("as the model's sample_latent() draws it", "np.random.standard_normal({})", "torch.randn({})"),
}
"""Distribution -> words, and code to draw from it."""


@dataclass(frozen=True)
class Input:
    """One tensor that an exported generator takes.

    Attributes:
        name, shape, dtype: as in the latent batch; the shape without the number of samples.
        meaning: its distribution, in words.
        numpy, torch: a Python expression that draws it for 8 samples; if it has class names, it chooses the first by
            its name, and ``names`` is what the file has under ``CLASS_NAMES``.
        class_names: of the integers 0, 1, ..., if they have any.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str
    numpy: str
    torch: str
    class_names: tuple[str, ...] = ()

    def __str__(self) -> str:
        shape = ", ".join(["n", *map(str, self.shape)]) + ("" if self.shape else ",")
        return f"{self.name}: {self.dtype} ({shape}), {self.meaning}"


def describe(name: str, drawn: Tensor, field: Field | None, model: Model) -> Input:
    """Return a description of an input.

    Args:
        name: of the input.
        drawn: some of it, (n, *shape).
        field: the dataset's field of that name, or None.
        model: says how its latents are distributed.
    """
    shape, dtype = tuple(drawn.shape[1:]), str(drawn.dtype).removeprefix("torch.")
    size = str((_SHOWN, *shape))
    named = field.class_names if field and not drawn.is_floating_point() else ()
    if named:
        meaning = f"integers from 0 to {len(named) - 1}: {', '.join(named[:_NAMED])}{', ...' * (len(named) > _NAMED)}"
        chosen = f"names[{name!r}].index({named[0]!r})"
        numpy, code = f"np.full({size}, {chosen})", f"torch.full({size}, {chosen})"
    elif drawn.is_floating_point():
        kind = "condition" if name in model.condition_fields else model.latent_distributions.get(name, "")
        meaning, numpy, code = (text.format(size) for text in _FLOATS.get(kind, _FLOATS[""]))
    else:
        stop = field.classes if field and field.classes else int(drawn.max()) + 1
        meaning = f"integers from 0 to {stop - 1}"
        numpy, code = f"np.random.randint(0, {stop}, {size})", f"torch.randint(0, {stop}, {size})"
    numpy += f'.astype("{dtype}")'
    code = code if dtype in ("float32", "int64") else f"({code}).to(torch.{dtype})"
    return Input(name, shape, dtype, meaning, numpy, code, named)
