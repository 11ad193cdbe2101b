"""Networks that several GANs share. This package has no hooks; a network moves here when a third GAN needs it."""
