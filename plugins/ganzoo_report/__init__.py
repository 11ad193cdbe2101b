"""Reports of runs: a page that holds everything in one file, a table of several runs, and a film of the samples."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_commands():
    """The commands this plugin brings."""
    return {
        "report": "ganzoo_report.report:command",
        "compare": "ganzoo_report.compare:command",
        "film": "ganzoo_report.film:command",
    }
