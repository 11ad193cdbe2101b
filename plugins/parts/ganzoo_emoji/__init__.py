"""Emoji, bundled: small color pictures in nine classes, without a download."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {"datasets": {"emoji": "ganzoo_emoji.data:Emoji"}}
