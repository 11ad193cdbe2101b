"""The state of a loss, a penalty or an augmentation in a checkpoint: all but its frozen networks."""

from collections.abc import Mapping

from torch import Tensor

from ganzoo.loss import TrainingPart


def saved(part: TrainingPart) -> dict[str, Tensor]:
    """Return the state of a part without its frozen networks."""
    frozen = tuple(f"{name}." for name in part.frozen_networks)
    return {key: value for key, value in part.state_dict().items() if not key.startswith(frozen)}


def restore(part: TrainingPart, state: Mapping[str, Tensor]) -> None:
    """Load what ``saved`` returned.

    Raises:
        RuntimeError: it does not fit.
    """
    if state.keys() != saved(part).keys():
        raise RuntimeError(
            f"the state of {type(part).__name__} has different entries: {', '.join(sorted(state))}. Register buffers "
            "in the constructor or in meet()"
        )
    part.load_state_dict(dict(state), strict=False)
