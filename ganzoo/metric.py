"""The metric interface: numbers about samples, and what a metric is given to look at."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor

from ganzoo.data import Batch, Data
from ganzoo.model import Model


class Score(NamedTuple):
    """One number, and whatever explains it.

    Attributes:
        value: the number.
        better: which way it gets better; "" where neither does.
        details: what else is worth keeping, as JSON holds it: a spread, the share of each class.
    """

    value: float
    better: Literal["lower", "higher", ""] = ""
    details: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Samples:
    """Samples as metrics look at them: generated ones, or real ones.

    Attributes:
        values: (n, *shape) on the host. Images are uint8 (n, C, H, W), as a viewer would see them; anything else is as
            the model or the data gave it.
        given: what came with them, on the host: with real ones, the other fields; with generated ones, what the model
            is ``given`` and those of its latents that a metric ``needs``.
        data: the data set that is imitated.
        seed: for a metric that draws (subsets, say).
        model: who generated them, in eval mode; None for real ones.
        features: layer ("fid", "kid", "prc" or "isc": which arithmetic wants them) -> features (n, d), float32 on the
            host, of the extractor in use.
    """

    values: Tensor
    given: Batch
    data: Data
    seed: int
    model: Model | None
    features: Callable[[str], Tensor]


class Metric(ABC):
    """Numbers about generated samples, mostly in comparison with real ones. Its constructor's keyword-only arguments
    are its options (``ganzoo.Option``).

    Attributes:
        layers: which of an extractor's features it looks at, of "fid", "kid", "prc" and "isc"; none if it looks at the
            samples themselves. The user chooses the extractor, and ``fd`` in the features of ``mnist`` is reported as
            ``fd-mnist``.
        extractor: the one extractor it is defined with, if there is no choice (``fid``: Inception).
        needs: what must come with generated samples, such as ``("label",)``.
    """

    layers: ClassVar[tuple[str, ...]] = ()
    extractor: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ()

    def fewest(self, width: int) -> int:
        """Return the fewest samples it makes sense for, in features of ``width`` numbers."""
        return 2

    def check(self, data: Data) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse data it makes no sense for, before anything is drawn or trained.

        Raises:
            ValueError: says what it is for.
        """

    @abstractmethod
    def measure(self, fake: Samples, real: Samples) -> Mapping[str, Score]:
        """Return name -> number for generated samples and as many real ones.

        Names are the field's, in lower case; where the extractor was chosen, its name is put behind them.
        """
