"""Numbers for samples: which metrics, in whose features, against which real samples, and the cards that say so."""
