"""The augmentation interface: random changes to what a discriminator sees, so that it does not memorize the samples.

``augment`` is called when an experiment is built. ``TrainingState`` calls ``real_batch`` in each turn of the
augmentation's ``player``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from ganzoo.data import Batch
from ganzoo.errors import UsageError
from ganzoo.loss import TrainingPart
from ganzoo.model import Model


class Augmentation(TrainingPart):
    """Random changes to what a discriminator sees in training. The generator's own output does not change. A recipe may
    have several; they are applied in the recipe's order. Draw noise from torch's global generator, which is seeded,
    saved and restored with the run. To adapt to the discriminator, implement ``observe_scores``.

    Attributes:
        player: the player whose turns get the batch that ``real_batch`` returns. It does not change ``transform``.
    """

    player: str = "discriminator"
    required_methods: ClassVar[tuple[str, ...]] = ("discriminate",)

    def transform(self, sample: Tensor) -> Tensor:
        """Return samples (n, *shape), changed. In training mode, this is applied to the input of every call to
        ``discriminate``, including calls made by penalties. The input can be real samples, generated ones, or both. The
        generator's gradient passes through it, so it must be differentiable; for gradient penalties, twice."""
        return sample

    def real_batch(self, real: Batch, shared: Batch) -> Batch:
        """Return the real batch that the turns of ``player`` should get.

        Args:
            real: the real batch.
            shared: what ``prepare_step`` of the loss returned.
        """
        return real


def augment(model: Model, augmentations: Mapping[str, Augmentation]) -> None:
    """Make a model's ``discriminate`` see changed samples in training mode, and unchanged ones in eval mode.

    The class of the model is replaced by a subclass, so that a deep copy of the model uses copies of the augmentations.

    Raises:
        UsageError: the model does not support augmentations.
    """
    if not augmentations:
        return
    own: Any = type(model)
    if not model.augmentable:
        raise UsageError(f"The model {own.__name__} does not support augmentations. Leave them out.")

    def discriminate(self: Any, sample: Tensor, condition: Batch) -> Batch:
        if self.training:
            for augmentation in self.augmentations:
                sample = augmentation.transform(sample)
        heads: Batch = own.discriminate(self, sample, condition)
        return heads

    changes = {"discriminate": discriminate, "__module__": own.__module__}
    model.__class__ = type(own.__name__, (own,), changes)
    vars(model)["augmentations"] = tuple(augmentations.values())  # they are not part of its state_dict
