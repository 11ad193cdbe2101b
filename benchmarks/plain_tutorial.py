"""The tutorial's training loop, plain: what ganzoo is measured against.

The same networks, losses and settings as aladdinpersson, Machine-Learning-Collection, "1. SimpleGAN/fc_gan.py":
a DataLoader over torchvision's MNIST with ToTensor and Normalize, BCELoss on sigmoids, default Adam. Rewritten with a
function of its own so that it can be timed; prints steps and seconds as JSON, and saves the generator if asked to.
"""

import argparse
import json
import time

import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", help="a folder that holds torchvision's MNIST")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", help="a .safetensors file for the trained generator")
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    discriminator = nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.01), nn.Linear(128, 1), nn.Sigmoid())
    generator = nn.Sequential(nn.Linear(126, 256), nn.LeakyReLU(0.01), nn.Linear(256, 784), nn.Tanh())
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), lr=3e-4)
    generator_adam = torch.optim.Adam(generator.parameters(), lr=3e-4)
    bce = nn.BCELoss()
    normalize = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    loader = DataLoader(datasets.MNIST(arguments.root, transform=normalize), batch_size=32, shuffle=True)

    steps = 0
    began = time.perf_counter()
    for epoch in range(arguments.epochs):
        for real, _ in loader:
            real = real.view(-1, 784)
            fake = generator(torch.randn(len(real), 126))
            judged_real = discriminator(real).view(-1)
            judged_fake = discriminator(fake).view(-1)
            loss_real = bce(judged_real, torch.ones_like(judged_real))
            loss_fake = bce(judged_fake, torch.zeros_like(judged_fake))
            discriminator_loss = (loss_real + loss_fake) / 2
            discriminator.zero_grad()
            discriminator_loss.backward(retain_graph=True)
            discriminator_adam.step()

            judged_again = discriminator(fake).view(-1)
            generator_loss = bce(judged_again, torch.ones_like(judged_again))
            generator.zero_grad()
            generator_loss.backward()
            generator_adam.step()
            steps += 1
        print(f"Epoch {epoch}: loss D {discriminator_loss:.4f}, loss G {generator_loss:.4f}")
    if arguments.save:
        save_file(generator.state_dict(), arguments.save)
    print(json.dumps({"steps": steps, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
