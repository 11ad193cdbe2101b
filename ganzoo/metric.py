"""The metric interface: what a metric receives and what it returns."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor

from ganzoo.data import Batch, Dataset
from ganzoo.model import Model


class Score(NamedTuple):
    """One value of a metric (unrelated to a discriminator's score).

    Attributes:
        value: the number.
        better: the direction in which it improves; "" if neither is better.
        details: additional JSON values worth keeping, such as a deviation or the share of each class.
    """

    value: float
    better: Literal["lower", "higher", ""] = ""
    details: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Samples:
    """Generated or real samples, as metrics see them.

    Attributes:
        values: (n, *shape) on the CPU. Images are uint8 (n, C, H, W); other samples are as the model or the dataset
            returned them.
        extras: what belongs to the samples, on the CPU. For real samples, the other fields. For generated samples, the
            model's condition fields, and those latents that a metric names in ``required_fields``.
        dataset: the dataset that is imitated.
        seed: for metrics that draw at random, for example subsets.
        model: the model that generated them, in eval mode; None for real samples.
        features: feature kind ("fid", "kid", "prc" or "isc") -> features (n, d) of the extractor in use, float32 on the
            CPU.
    """

    values: Tensor
    extras: Batch
    dataset: Dataset
    seed: int
    model: Model | None
    features: Callable[[str], Tensor]


class Metric(ABC):
    """Numbers about generated samples, usually in comparison with real ones. The keyword-only arguments of its
    constructor are its options (see ``ganzoo.Option``).

    Attributes:
        feature_kinds: the features it needs from an extractor: any of "fid", "kid", "prc" and "isc", named after the
            torch-fidelity metrics that use them (prc: precision and recall; isc: Inception Score). Empty if it looks at
            the samples themselves. The user chooses the extractor: ``fd`` with the extractor ``mnist`` is reported as
            ``fd-mnist``.
        extractor: the extractor that its definition requires (``fid``: Inception), or None if there is a choice.
        required_fields: what must come with generated samples, such as ``("label",)``.
        reference: what generated samples are compared with: the real samples of the evaluation, or "training" for up to
            10,000 of those that the model was trained on.
        required_methods: what the model must have, such as ``("translate_back",)`` or ``("condition_fields",)``.
    """

    feature_kinds: ClassVar[tuple[str, ...]] = ()
    extractor: ClassVar[str | None] = None
    required_fields: ClassVar[tuple[str, ...]] = ()
    reference: ClassVar[Literal["evaluation", "training"]] = "evaluation"
    required_methods: ClassVar[tuple[str, ...]] = ()

    def min_samples(self, feature_dim: int) -> int:
        """Return the smallest sample count for which the metric is meaningful, with features of ``feature_dim``
        dimensions."""
        return 2

    def check(self, dataset: Dataset) -> None:  # noqa: B027 (most metrics accept every dataset)
        """Refuse a dataset for which the metric makes no sense. Called before anything is drawn or trained.

        Raises:
            ValueError: says what the metric is for.
        """

    @abstractmethod
    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        """Return name -> score for generated samples and real ones, of which there are as many unless ``reference`` is
        "training".

        Use the standard names from the literature, in lowercase. If the user chose the extractor, its name is appended.
        """
