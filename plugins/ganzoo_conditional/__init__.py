"""Class-conditional GANs."""
