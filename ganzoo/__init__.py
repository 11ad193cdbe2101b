"""ganzoo: a zoo of GANs in which every GAN is a plugin.

Importing this package is cheap: torch is imported when a name that needs it is first used, so that plugins can say
``from ganzoo import hookimpl`` and still be listed in a blink.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganzoo.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganzoo.alarm import Alarm as Alarm
    from ganzoo.api import resume as resume
    from ganzoo.api import train as train
    from ganzoo.data import Batch as Batch
    from ganzoo.data import Data as Data
    from ganzoo.data import Field as Field
    from ganzoo.data import TensorData as TensorData
    from ganzoo.errors import GanzooError as GanzooError
    from ganzoo.errors import Interrupted as Interrupted
    from ganzoo.errors import UsageError as UsageError
    from ganzoo.loss import AdversarialLoss as AdversarialLoss
    from ganzoo.loss import Loss as Loss
    from ganzoo.loss import Penalty as Penalty
    from ganzoo.loss import Terms as Terms
    from ganzoo.loss import Turn as Turn
    from ganzoo.metric import Metric as Metric
    from ganzoo.metric import Samples as Samples
    from ganzoo.metric import Score as Score
    from ganzoo.model import Model as Model
    from ganzoo.options import Option as Option
    from ganzoo.trained import Run as Run
    from ganzoo.trained import load as load

__version__ = "0.1.0"

_HOMES = {
    "AdversarialLoss": "loss",
    "Alarm": "alarm",
    "Batch": "data",
    "Data": "data",
    "Field": "data",
    "GanzooError": "errors",
    "Interrupted": "errors",
    "Loss": "loss",
    "Metric": "metric",
    "Model": "model",
    "Option": "options",
    "Penalty": "loss",
    "Run": "trained",
    "Samples": "metric",
    "Score": "metric",
    "TensorData": "data",
    "Terms": "loss",
    "Turn": "loss",
    "UsageError": "errors",
    "load": "trained",
    "resume": "api",
    "train": "api",
}

__all__ = ["__version__", "hookimpl", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ganzoo' has no attribute {name!r}")
    return getattr(import_module(f"ganzoo.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
