"""Views of a folder of pictures: each picture with a ``source`` that is made from it, shrunk or with a hole.

They are for super-resolution and inpainting. The sources are made from the prepared pictures, on the training device.
"""

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ganzoo import Batch, Field, Option, UsageError
from ganzoo_images import options
from ganzoo_images.decode import Treatment
from ganzoo_images.folder import Folder

View = TypeVar("View", bound=type[Folder])

HOLE = 128 / 127.5 - 1
"""The value in a hole: middle gray, the level 128."""


def _with_options_of_folder(view: View) -> View:
    """Add the options of a folder to those of a view, which passes them on."""
    own, shared = (inspect.signature(cls).parameters for cls in (view, Folder))
    named = {name: option for name, option in own.items() if option.kind is option.KEYWORD_ONLY}
    every = {"path": shared["path"], **named, **{name: o for name, o in shared.items() if name not in named}}
    view.__signature__ = inspect.Signature(list(every.values()))  # type: ignore[attr-defined]
    return view


@_with_options_of_folder
class LowResolution(Folder):
    """A folder of pictures ``image`` (C, size, size), each with a ``source`` (C, size / factor, size / factor): the
    same picture, shrunk by antialiased bicubic interpolation. Otherwise as ``folder``."""

    opens = ()
    eval_options: ClassVar[Mapping[str, Any]] = {"split": options.EVALUATION}
    validation_options: ClassVar[Mapping[str, Any]] = {"split": options.VALIDATION}

    def __init__(
        self,
        *,
        factor: Annotated[int, Option("How many times smaller the source is; it divides the size", ge=2)] = 4,
        size: options.Size = 64,
        range: options.Range = None,  # noqa: A002 - not measured: inputs of the user need it too
        **folder: Any,
    ) -> None:
        sides = Treatment(size).sides
        if any(side % factor for side in sides):
            raise UsageError(f"data.factor = {factor} does not divide data.size = {size}.")
        super().__init__(size=size, range=range, **folder)
        channels_found, *_ = self.fields["image"].shape
        self._small = sides[0] // factor, sides[1] // factor
        self.fields = _with_source(self.fields, Field((channels_found, *self._small)))
        self.metrics = ("l1", *self.metrics)

    def prepare(self, stored: Batch) -> Batch:
        batch = super().prepare(stored)
        small = interpolate(batch["image"], self._small, mode="bicubic", antialias=True, align_corners=False)
        return {**batch, "source": small.clamp(-1, 1)}


@_with_options_of_folder
class Masked(Folder):
    """A folder of pictures ``image`` (C, size, size), each with a ``source`` of the same shape: the picture with a
    square hole in middle gray. Otherwise as ``folder``. In a picture of the user, transparent pixels are the hole."""

    opens = ()
    eval_options: ClassVar[Mapping[str, Any]] = {"split": options.EVALUATION, "vary": False}
    validation_options: ClassVar[Mapping[str, Any]] = {"split": options.VALIDATION}

    def __init__(
        self,
        *,
        hole: Annotated[Literal["center", "random"], Option("Where the hole is")] = "center",
        share: Annotated[float, Option("Side of the hole, as a share of the picture's", gt=0, le=1)] = 0.5,
        vary: Annotated[
            bool, Option("Whether a random hole moves each time; if not, its place depends on the picture only")
        ] = True,
        size: options.Size = 64,
        range: options.Range = None,  # noqa: A002 - not measured: inputs of the user need it too
        **folder: Any,
    ) -> None:
        super().__init__(size=size, range=range, **folder)
        self._hole, self._vary, self._side = hole, vary, max(1, round(share * min(Treatment(size).sides)))
        self.fields = _with_source(self.fields, Field(self.fields["image"].shape))
        self.metrics = ("l1", *self.metrics)

    def prepare(self, stored: Batch) -> Batch:
        batch = super().prepare(stored)
        return {**batch, "source": self._with_hole(batch["image"], stored["image"])}

    @classmethod
    def decode_input(cls, content: bytes, field: Field, options: Mapping[str, Any]) -> Tensor:
        return super().decode_input(content, field, {**options, "behind": "gray"})

    def _with_hole(self, image: Tensor, stored: Tensor) -> Tensor:
        """Return images (n, C, H, W) with a hole in each. ``stored`` are their bytes, which may decide where."""
        n = len(image)
        free = torch.tensor(image.shape[2:], device=image.device) - self._side + 1  # places, down and across
        if self._hole == "center":
            corner = ((free - 1) // 2).expand(n, 2)
        elif self._vary:
            corner = (torch.rand(n, 2, device=image.device) * free).long()
        else:  # two sums of the bytes, which look random
            weights = torch.arange(1, stored[0].numel() + 1, device=image.device)
            flat = stored.flatten(1).long()
            corner = torch.stack([flat.sum(1), (flat * weights).sum(1)], 1) % free
        inside = [_within(corner[:, i], self._side, image.shape[2 + i]) for i in (0, 1)]  # (n, H) and (n, W)
        hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (n, 1, H, W)
        return torch.where(hole, HOLE, image)


def _within(start: Tensor, length: int, size: int) -> Tensor:
    """Return a mask (n, size) of ``length`` places from ``start`` (n,) on."""
    place = torch.arange(size, device=start.device)
    return (place >= start[:, None]) & (place < start[:, None] + length)


def _with_source(fields: Mapping[str, Field], source: Field) -> dict[str, Field]:
    (target, image), *others = fields.items()
    return {target: image, "source": source, **dict(others)}
