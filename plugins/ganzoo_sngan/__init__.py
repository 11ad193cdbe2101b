"""SNGAN."""
