"""Evaluation: drawing samples, extracting features, and measuring."""
