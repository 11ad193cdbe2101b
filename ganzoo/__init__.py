"""ganzoo: a zoo of GANs in which every GAN is a plugin.

Importing this package is cheap: torch is imported when a name that needs it is first used. So plugins can say
``from ganzoo import hookimpl`` and still be listed quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ganzoo.hookspecs import hookimpl

if TYPE_CHECKING:
    from ganzoo.api import (
        ResumeOptions as ResumeOptions,
        TrainOptions as TrainOptions,
        resume as resume,
        train as train,
    )
    from ganzoo.augmentation import Augmentation as Augmentation
    from ganzoo.data import Batch as Batch, Dataset as Dataset, Field as Field, TensorDataset as TensorDataset
    from ganzoo.errors import (
        GanzooError as GanzooError,
        Interrupted as Interrupted,
        UsageError as UsageError,
        warn as warn,
    )
    from ganzoo.evaluation.feature_extractor import FeatureExtractor as FeatureExtractor
    from ganzoo.events import Alarm as Alarm, Observer as Observer, RunInfo as RunInfo, Tick as Tick
    from ganzoo.loss import (
        AdversarialLoss as AdversarialLoss,
        Every as Every,
        Loss as Loss,
        NCritic as NCritic,
        Penalty as Penalty,
        Terms as Terms,
        TrainingPart as TrainingPart,
        Turn as Turn,
        Weight as Weight,
    )
    from ganzoo.metric import Metric as Metric, Samples as Samples, Score as Score
    from ganzoo.model import LatentDim as LatentDim, LatentModel as LatentModel, Model as Model
    from ganzoo.options import Option as Option
    from ganzoo.recipes import PartChoice as PartChoice, Recipe as Recipe
    from ganzoo.run import Run as Run, load as load
    from ganzoo.zoo import Zoo as Zoo

__version__ = "0.1.0"

_EXPORTS = {
    "api": "ResumeOptions TrainOptions resume train",
    "augmentation": "Augmentation",
    "data": "Batch Dataset Field TensorDataset",
    "errors": "GanzooError Interrupted UsageError warn",
    "evaluation.feature_extractor": "FeatureExtractor",
    "events": "Alarm Observer RunInfo Tick",
    "loss": "AdversarialLoss Every Loss NCritic Penalty Terms TrainingPart Turn Weight",
    "metric": "Metric Samples Score",
    "model": "LatentDim LatentModel Model",
    "options": "Option",
    "recipes": "PartChoice Recipe",
    "run": "Run load",
    "zoo": "Zoo",
}
_MODULES = {name: module for module, names in _EXPORTS.items() for name in names.split()}

__all__ = ["__version__", "hookimpl", *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'ganzoo' has no attribute {name!r}")
    return getattr(import_module(f"ganzoo.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
