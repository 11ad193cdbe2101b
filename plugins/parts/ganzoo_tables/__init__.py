"""Tables: CSV files as datasets, and metrics for tables."""

from ganzoo import hookimpl


@hookimpl
def ganzoo_parts() -> dict[str, dict[str, str]]:
    return {
        "datasets": {"table": "ganzoo_tables.data:Table", "gapminder": "ganzoo_tables.data:Gapminder"},
        "metrics": {
            "marginals": "ganzoo_tables.metrics:Marginals",
            "associations": "ganzoo_tables.metrics:Associations",
            "tstr": "ganzoo_tables.prediction:TSTR",
            "dcr": "ganzoo_tables.metrics:ClosestRecords",
        },
    }
