"""The augmentation interface: random changes of what a discriminator sees, so that it does not memorize the samples.

Called when an experiment is built (``augment``) and by ``TrainingState`` in each step.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from ganzoo.data import Batch
from ganzoo.loss import TrainingPart
from ganzoo.model import Model


class Augmentation(TrainingPart):
    """Random changes of what a discriminator sees in training. The generator's own output does not change. A recipe may
    have several; they are applied in its order. Draw noise from torch's global generator, which is seeded, saved and
    restored with the run. To adapt to the discriminator, implement ``observe_scores``.

    Attributes:
        player: the discriminator whose turns get ``real_batch``.
    """

    player: str = "discriminator"
    required_methods: ClassVar[tuple[str, ...]] = ("discriminate",)

    def transform(self, sample: Tensor) -> Tensor:
        """Return samples (n, *shape), changed. Called whenever ``discriminate`` is, by penalties too, with real
        samples, generated ones, or both. It must be differentiable, because the generator's gradient passes through;
        twice, if gradient penalties are to work."""
        return sample

    def real_batch(self, real: Batch, shared: Batch) -> Batch:
        """Return the real batch as the turns of ``player`` get it.

        Args:
            real: the real batch.
            shared: what ``prepare_step`` of the loss returned.
        """
        return real


def augment(model: Model, augmentations: Mapping[str, Augmentation]) -> None:
    """Make a model's ``discriminate`` see changed samples in training mode, and unchanged ones in eval mode.

    Its class is replaced by a subclass, so that a copy of the model is augmented by copies.
    """
    own: Any = type(model)

    def discriminate(self: Any, sample: Tensor, condition: Batch) -> Batch:
        if self.training:
            for augmentation in self.augmentations:
                sample = augmentation.transform(sample)
        heads: Batch = own.discriminate(self, sample, condition)
        return heads

    changes = {"discriminate": discriminate, "__module__": own.__module__}
    model.__class__ = type(own.__name__, (own,), changes)
    vars(model)["augmentations"] = tuple(augmentations.values())  # they are no part of its weights
