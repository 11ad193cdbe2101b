"""Series: values over time as datasets, and metrics for series."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "datasets": {"series": "ganzoo_series.data:Series", "sines": "ganzoo_series.data:Sines"},
        "metrics": {
            "autocorrelation": "ganzoo_series.metrics:Autocorrelation",
            "values": "ganzoo_series.metrics:ValueDistance",
            "discriminative-score": "ganzoo_series.metrics:DiscriminativeScore",
        },
    }
