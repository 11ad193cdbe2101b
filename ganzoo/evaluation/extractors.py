"""Feature extractors: torch-fidelity's own interface and registry, with weights that are checked.

An extractor is a ``torch_fidelity`` ``FeatureExtractorBase``: uint8 images (N, 3, H, W) in, features out. What a plugin
brings is put into torch-fidelity's registry, so the two know the same names.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import images
from ganzoo.errors import GanzooError, UsageError
from ganzoo.plugins import Zoo, describe

RAW = "raw"
_WIDEST = 4096
_BATCH = 250


class Extractor:
    """One extractor with its weights, on a device. ``raw`` is no network: the samples themselves, as vectors.

    Attributes:
        name: as in ``ganzoo list --kind extractors``.
        sha256: of its weights; empty for ``raw``.
    """

    def __init__(
        self,
        zoo: Zoo,
        name: str,
        layers: Collection[str],
        device: torch.device,
        weights: Path | None = None,
        sha256: str | None = None,
    ) -> None:
        """Load it.

        Args:
            layers: which arithmetics want its features: "fid", "kid", "prc", "isc".
            weights: a file to load instead of what the extractor ships or downloads.
            sha256: what the user says the file's SHA-256 is; needed where it is not the published one.

        Raises:
            UsageError: there is no such extractor, or its weights are not here, or not the right ones.
            GanzooError: it cannot be imported, or what it ships is damaged.
        """
        self.name, self.sha256, self._device = name.rpartition("/")[2], "", device
        self._network: Any = None
        self._layers = dict.fromkeys(layers, RAW)
        if name == RAW:
            if weights:
                raise UsageError("The extractor 'raw' has no weights: leave out --weights.")
            return
        kind = _load_class(zoo, name)
        name = self.name
        self._layers = {layer: _layer(kind, name, layer) for layer in layers}
        if weights:
            self.sha256 = _check_weights(weights, sha256, _published(name, kind))
        self._network = _open(kind, name, sorted(set(self._layers.values())), weights).to(device)
        self.sha256 = (
            self.sha256 or getattr(kind, "sha256", "") or _downloaded(name, kind) or _fingerprint(self._network)
        )

    def check(self, values: Tensor) -> int:
        """Return how many numbers its widest features of such samples (n, *shape) have.

        Raises:
            UsageError: it does not take such samples.
        """
        try:
            return max(features.shape[1] for features in self(values[:2]).values())
        except (ValueError, RuntimeError) as error:
            shape = tuple(values.shape[1:])
            raise UsageError(
                f"The extractor {self.name!r} does not fit samples of shape {shape}: {' '.join(str(error).split())} "
                "Choose another: 'ganzoo list --kind extractors' ('raw' takes the samples as they are)."
            ) from error

    def __call__(self, values: Tensor) -> dict[str, Tensor]:
        """Return layer -> features (n, d) of samples (n, *shape), float32 on the host."""
        if self._network is None:
            return dict.fromkeys(self._layers, _raw(values))
        if values.dtype != torch.uint8:
            raise ValueError("it takes images of one or three channels.")
        parts: dict[str, list[Tensor]] = {layer: [] for layer in self._layers}
        with torch.no_grad():
            for batch in values.split(_BATCH):
                rgb = batch.expand(-1, 3, -1, -1).to(self._device)
                found = self._network.convert_features_tuple_to_dict(self._network(rgb))
                for layer, name in self._layers.items():
                    parts[layer].append(found[name].float().cpu())
        return {layer: torch.cat(features) for layer, features in parts.items()}


def _raw(values: Tensor) -> Tensor:
    width = values[0].numel()
    if width > _WIDEST:
        raise ValueError(f"{width} numbers a sample are too many to be compared as they are ({_WIDEST} at most).")
    floats = images.from_bytes(values) if values.dtype == torch.uint8 else values.float()
    return floats.flatten(1)


def _load_class(zoo: Zoo, name: str) -> Any:
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

    part = zoo.part("extractors", name)
    kind = part.load()
    if not (isinstance(kind, type) and issubclass(kind, FeatureExtractorBase)):
        raise GanzooError(f"The extractor {name!r} of the plugin {part.plugin} is {kind!r}, no FeatureExtractorBase.")
    if part.name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(part.name, kind)
    return kind


def _layer(kind: Any, name: str, arithmetic: str) -> str:
    try:
        return str(kind.get_default_feature_layer_for_metric(arithmetic))
    except (KeyError, ValueError) as error:
        raise UsageError(f"The extractor {name!r} has no features for {arithmetic!r}.") from error


def _open(kind: Any, name: str, layers: list[str], weights: Path | None) -> Any:
    path = str(weights) if weights else None
    try:
        network = kind(name, layers, feature_extractor_weights_path=path, verbose=False)
    except GanzooError:
        raise
    except NotImplementedError as error:  # torch-fidelity's DINOv2
        raise UsageError(f"The extractor {name!r} takes no --weights: it can only download its own.") from error
    except Exception as error:
        if weights:
            raise UsageError(f"{weights} does not hold weights of {name!r}: {describe(error)}.") from error
        if not isinstance(error, OSError):  # a failed download is one
            raise GanzooError(f"The extractor {name!r} cannot be opened: {describe(error)}.") from error
        url = _published(name, kind)[1]
        raise UsageError(
            f"The weights of the extractor {name!r} are not on this machine and could not be downloaded "
            f"({describe(error)}). Connect once, or give a file by --weights FILE{f' (from {url})' if url else ''} if "
            "it takes one, or choose another extractor."
        ) from error
    return network.eval().requires_grad_(False)


def _published(name: str, kind: Any) -> tuple[str, str]:
    """Return the beginning of the published weights' SHA-256, and their address; empty where nothing is known."""
    from torch_fidelity import feature_extractor_clip as clip
    from torch_fidelity import feature_extractor_inceptionv3 as inception

    if name == "inception-v3-compat":
        url = inception.URL_INCEPTION_V3
        return Path(url).stem.rpartition("-")[2], url  # as torch.hub names its files: NAME-HASH.pth
    if name in clip.MODEL_METADATA:
        return clip.MODEL_METADATA[name]["hash"], clip.MODEL_URLS[name]
    return getattr(kind, "sha256", ""), ""


def _check_weights(weights: Path, expected: str | None, known: tuple[str, str]) -> str:
    """Return the SHA-256 of the file. Weights that nobody vouches for would give a number that means nothing."""
    try:
        actual = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"Cannot read the weights {weights}: {error.strerror or error}.") from error
    published, url = known
    if expected:
        if actual != expected.lower():
            raise UsageError(f"{weights} has the SHA-256 {actual}, not {expected}.")
    elif not published or not actual.startswith(published):
        other = f"that of the published ones begins with {published} {url}" if published else "none is published"
        raise UsageError(
            f"{weights} has the SHA-256 {actual}; {other.strip()}. If these are the weights you mean: --sha256 {actual}"
        )
    return actual


def _downloaded(name: str, kind: Any) -> str:
    """Return the SHA-256 of the file that torch.hub keeps of the published weights, if there is one."""
    url = _published(name, kind)[1]
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    return hashlib.sha256(path.read_bytes()).hexdigest() if url and path.is_file() else ""


def _fingerprint(network: torch.nn.Module) -> str:
    """Return a SHA-256 of all tensors of a network, where the file they came from is not known."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
