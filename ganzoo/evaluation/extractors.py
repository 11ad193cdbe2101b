"""Loading feature extractors, with weights that are verified.

An extractor is a ``FeatureExtractorBase`` of torch-fidelity: it maps uint8 images (N, 3, H, W) to features. Extractors
of plugins are added to torch-fidelity's registry, so that both know the same names.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganzoo import images
from ganzoo.errors import GanzooError, UsageError, format_error
from ganzoo.guard import Guarded
from ganzoo.zoo import Zoo

RAW = "raw"
_WIDEST = 4096
_BATCH = 250


class Extractor:
    """One extractor with its weights, on a device. ``raw`` is not a network: it returns the samples as vectors.

    Attributes:
        name: as in ``ganzoo list --kind extractors``.
        sha256: of its weights; empty for ``raw``.
    """

    def __init__(
        self,
        zoo: Zoo,
        name: str,
        kinds: Collection[str],
        device: torch.device,
        weights: Path | None = None,
        sha256: str | None = None,
    ) -> None:
        """Load it.

        Args:
            kinds: the feature kinds that are needed: "fid", "kid", "prc", "isc".
            weights: a file to load instead of the weights that the extractor ships or downloads.
            sha256: the SHA-256 of that file according to the user; required if it is not the published one.

        Raises:
            UsageError: there is no such extractor, or its weights are missing or not the expected ones.
            GanzooError: it cannot be imported, or the weights it ships are damaged.
        """
        self.name, self.sha256, self._device = name.rpartition("/")[2], "", device
        self._network: Any = None
        self._layers = dict.fromkeys(kinds, RAW)
        if name == RAW:
            if weights:
                raise UsageError("The extractor 'raw' has no weights: leave out --weights.")
            return
        cls = _register(zoo, name)
        published, url = _published(self.name, cls)
        self._layers = {kind: _layer(cls, self.name, kind) for kind in kinds}
        if weights:
            self.sha256 = _check_weights(weights, sha256, published, url)
        self._network = _open(cls, self.name, sorted(set(self._layers.values())), weights, url).to(device)
        self.sha256 = self.sha256 or getattr(cls, "sha256", "") or _downloaded(url) or _fingerprint(self._network)

    def check(self, values: Tensor) -> dict[str, int]:
        """Return feature kind -> the dimension of these features, for samples like these (n, *shape).

        Raises:
            UsageError: it does not accept such samples.
        """
        try:
            return {kind: features.shape[1] for kind, features in self(values[:2]).items()}
        except (ValueError, RuntimeError) as error:
            shape = tuple(values.shape[1:])
            raise UsageError(
                f"The extractor {self.name!r} does not fit samples of shape {shape}: {' '.join(str(error).split())} "
                "Choose another: 'ganzoo list --kind extractors' ('raw' compares the samples themselves)."
            ) from error

    def __call__(self, values: Tensor) -> dict[str, Tensor]:
        """Return feature kind -> features (n, d) of samples (n, *shape), float32 on the CPU."""
        if self._network is None:
            return dict.fromkeys(self._layers, _raw(values))
        if values.dtype != torch.uint8:
            raise ValueError("it accepts images of one or three channels.")
        parts: dict[str, list[Tensor]] = {kind: [] for kind in self._layers}
        with torch.no_grad():
            for batch in values.split(_BATCH):
                rgb = batch.expand(-1, 3, -1, -1).to(self._device)
                found = self._network.convert_features_tuple_to_dict(self._network(rgb))
                for kind, layer in self._layers.items():
                    parts[kind].append(found[layer].float().cpu())
        return {kind: torch.cat(features) for kind, features in parts.items()}


def _raw(values: Tensor) -> Tensor:
    width = values[0].numel()
    if width > _WIDEST:
        raise ValueError(f"{width} numbers per sample are too many to compare directly (at most {_WIDEST}).")
    floats = images.from_bytes(values) if values.dtype == torch.uint8 else values.float()
    return floats.flatten(1)


def _register(zoo: Zoo, name: str) -> Any:
    """Import an extractor's class and make torch-fidelity know it."""
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

    part = zoo.part("extractor", name)
    cls = part.load()
    if part.name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(part.name, cls)
    return cls


def _layer(cls: Any, name: str, kind: str) -> str:
    try:
        return str(cls.get_default_feature_layer_for_metric(kind))
    except (KeyError, ValueError) as error:
        raise UsageError(f"The extractor {name!r} has no features of the kind {kind!r}.") from error


def _open(cls: Any, name: str, layers: list[str], weights: Path | None, url: str) -> Any:
    path = str(weights) if weights else None
    try:
        with Guarded():  # torch.hub prints what it downloads
            network = cls(name, layers, feature_extractor_weights_path=path, verbose=False)
    except GanzooError:
        raise
    except NotImplementedError as error:  # torch-fidelity's DINOv2
        raise UsageError(f"The extractor {name!r} accepts no --weights: it can only download its own.") from error
    except Exception as error:
        if weights:
            raise UsageError(f"{weights} does not hold weights of {name!r}: {format_error(error)}.") from error
        if not isinstance(error, OSError):  # a failed download is one
            raise GanzooError(f"The extractor {name!r} cannot be opened: {format_error(error)}.") from error
        source = f" (from {url})" if url else ""
        raise UsageError(
            f"The weights of the extractor {name!r} are not on this machine and could not be downloaded "
            f"({format_error(error)}). Connect to the internet once, give a file with --weights FILE{source} if it "
            "accepts one, or choose another extractor."
        ) from error
    return network.eval().requires_grad_(False)


def _published(name: str, cls: Any) -> tuple[str, str]:
    """Return the beginning of the SHA-256 of the published weights, and their address; empty if unknown."""
    from torch_fidelity import feature_extractor_clip as clip, feature_extractor_inceptionv3 as inception

    if name == "inception-v3-compat":
        url = inception.URL_INCEPTION_V3
        return Path(url).stem.rpartition("-")[2], url  # as torch.hub names its files: NAME-HASH.pth
    if name in clip.MODEL_METADATA:
        return clip.MODEL_METADATA[name]["hash"], clip.MODEL_URLS[name]
    return getattr(cls, "sha256", ""), ""


def _check_weights(weights: Path, expected: str | None, published: str, url: str) -> str:
    """Return the SHA-256 of the file. Unknown weights would give meaningless numbers, so they must be confirmed."""
    try:
        actual = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"Cannot read the weights {weights}: {error.strerror or error}.") from error
    if expected:
        if actual != expected.lower():
            raise UsageError(f"{weights} has the SHA-256 {actual}, not {expected}.")
    elif not published or not actual.startswith(published):
        other = f"that of the published ones begins with {published} {url}" if published else "none is published"
        raise UsageError(
            f"{weights} has the SHA-256 {actual}; {other.strip()}. If these are the weights you mean: --sha256 {actual}"
        )
    return actual


def _downloaded(url: str) -> str:
    """Return the SHA-256 of the published weights in torch.hub's cache; empty if they are not there."""
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    return hashlib.sha256(path.read_bytes()).hexdigest() if url and path.is_file() else ""


def _fingerprint(network: torch.nn.Module) -> str:
    """Return a SHA-256 of all tensors of a network, for weights from an unknown file; empty if it
    has none."""
    digest = hashlib.sha256()
    if not network.state_dict():
        return ""
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
