"""Reports of runs: a page that holds everything, a table that compares runs, and a film of the samples."""

from collections.abc import Mapping

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> Mapping[str, Mapping[str, str]]:
    return {
        "commands": {
            "report": "ganzoo_report.report:command",
            "compare": "ganzoo_report.compare:command",
            "film": "ganzoo_report.film:command",
        },
    }
