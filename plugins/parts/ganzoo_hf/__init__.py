"""Pictures in datasets of the Hugging Face Hub, or in local files of its formats."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {"datasets": {"hf": "ganzoo_hf.data:HuggingFace"}}
