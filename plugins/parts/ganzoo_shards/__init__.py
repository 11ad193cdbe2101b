"""Pictures in tar shards, as WebDataset writes them."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {"datasets": {"shards": "ganzoo_shards.data:Shards"}}
