"""BiGAN."""
