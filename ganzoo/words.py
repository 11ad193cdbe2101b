"""What others call things: names from papers and from other tools, and where they lead here.

A name is looked up when it is unknown here. The rows of a name are tried in order.
"""

from collections.abc import Container

_CRITIC = "The number of discriminator steps per generator step is --set loss.n_critic=N."
_LATENT = "The dimension of the latent is --set model.latent_dim=N."
_WIDTH = "The size of the networks is an option of the model: 'ganzoo show RECIPE' lists them."
_SIZE = "The size of pictures is --set data.size=N."
_LR = "The learning rate is --set optimizer.lr=RATE, or optimizer.PLAYER.lr for one player."
_BETAS = "Adam's betas are --set optimizer.betas=[0.5,0.999]."
_DEVICE = "One device is --device cuda, or --device cuda:1 for the second GPU. Several: torchrun -m ganzoo run RECIPE."
_ACCUMULATE = "Batches that do not fit are cut into micro-batches: --accumulate N."
_PROCESSES = "Several processes are started by torchrun: torchrun -m ganzoo run RECIPE; see docs/scale.md."
_RESUME = "To continue a run: ganzoo resume DIR. To start from its weights: ganzoo run RECIPE --init DIR."
_LOGS = "TensorBoard logs are in the run directory; other trackers are plugins with a ganzoo_observer."
_OUT = "The run directory is --out DIR."

NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    # losses and penalties: (needs, ...) is a name that must be known where the other one is looked up
    "lsgan": (("least-squares", ""),),
    "mse": (("least-squares", ""),),
    "l2": (("least-squares", ""),),
    "bce": (("non-saturating", ""),),
    "vanilla": (("non-saturating", ""),),
    "gan": (("non-saturating", ""),),
    "nsgan": (("non-saturating", ""),),
    "ns": (("non-saturating", ""),),
    "logistic": (("non-saturating", ""),),
    "saturating": (("minimax", ""),),
    "minmax": (("minimax", ""),),
    "wgan": (("wasserstein", "That is --loss wasserstein, with --penalty clip as in the paper."),),
    "wgan-gp": (
        ("wasserstein", "That is --loss wasserstein --penalty gradient-penalty."),
        ("gradient-penalty", ""),
    ),
    "wgangp": (("wasserstein", "That is --loss wasserstein --penalty gradient-penalty."), ("gradient-penalty", "")),
    "rsgan": (("relativistic", ""),),
    "ragan": (("relativistic-average", ""),),
    "rasgan": (("relativistic-average", ""),),
    "rpgan": (("relativistic-paired", ""),),
    "gp": (("gradient-penalty", ""),),
    "lp": (("one-sided", ""),),
    "wgan-lp": (("one-sided", ""),),
    "weight-clipping": (("clip", ""),),
    "clipping": (("clip", ""),),
    "ada-augment": (("ada", ""),),
    "diff-augment": (("diffaugment", ""),),
    # metrics
    "inception-score": (("is", ""),),
    "precision": (("prdc", ""),),
    "recall": (("prdc", ""),),
    "density": (("prdc", ""),),
    "coverage": (("prdc", ""),),
    "pr": (("prdc", ""),),
    "frechet": (("fd", ""),),
    "mmd": (("kd", ""),),
    # commands
    "train": (("run", ""),),
    "generate": (("sample", ""),),
    "eval": (("evaluate", ""),),
    "test": (("evaluate", ""),),
    "continue": (("resume", ""),),
    "info": (("show", ""),),
    # settings and options
    "lr": (("", _LR),),
    "learning-rate": (("", _LR),),
    "lr-g": (("", "Its learning rate is --set optimizer.generator.lr=RATE."),),
    "lr-d": (("", "Its learning rate is --set optimizer.discriminator.lr=RATE."),),
    "g-lr": (("", "Its learning rate is --set optimizer.generator.lr=RATE."),),
    "d-lr": (("", "Its learning rate is --set optimizer.discriminator.lr=RATE."),),
    "beta1": (("", _BETAS),),
    "beta2": (("", _BETAS),),
    "b1": (("", _BETAS),),
    "b2": (("", _BETAS),),
    "betas": (("", _BETAS),),
    "optimizer": (("", "The optimizer is --set optimizer.name=NAME; 'ganzoo list --kind optimizers' shows them."),),
    "scheduler": (("", "The schedule is --set optimizer.schedule=NAME."),),
    "batch": (("train.batch_size", ""), ("", "The batch size is --batch-size N.")),
    "bs": (("train.batch_size", ""), ("", "The batch size is --batch-size N.")),
    "batch-size": (("train.batch_size", ""),),
    "n-epochs": (("train.epochs", ""), ("", "The number of epochs is --epochs N.")),
    "num-epochs": (("train.epochs", ""), ("", "The number of epochs is --epochs N.")),
    "max-steps": (("train.steps", ""), ("", "The number of steps is --steps N.")),
    "iters": (("train.steps", ""), ("", "The number of steps is --steps N.")),
    "kimg": (("train.steps", ""), ("", "The length is given in steps or epochs: --steps N or --epochs N.")),
    "workers": (("train.num_workers", ""), ("", "Loader processes are --set train.num_workers=N.")),
    "num-workers": (("train.num_workers", ""), ("", "Loader processes are --set train.num_workers=N.")),
    "ema-decay": (("train.ema", ""), ("", "The moving average of the weights is --set train.ema=DECAY.")),
    "ema": (("train.ema", ""), ("", "The moving average of the weights is --set train.ema=DECAY.")),
    "gpu": (("", _DEVICE),),
    "gpus": (("", _DEVICE),),
    "cuda": (("", _DEVICE),),
    "nproc": (("", _PROCESSES),),
    "resume": (("", _RESUME),),
    "resume-from": (("", _RESUME),),
    "ckpt": (("", _RESUME),),
    "pretrained": (("", _RESUME),),
    "load": (("", _RESUME),),
    "wandb": (("", _LOGS),),
    "tensorboard": (("", _LOGS),),
    "mlflow": (("", _LOGS),),
    "logger": (("", _LOGS),),
    "outdir": (("", _OUT),),
    "output": (("", _OUT),),
    "output-dir": (("", _OUT),),
    "save-dir": (("", _OUT),),
    "name": (("", _OUT),),
    "dataset": (("data", ""), ("", "The dataset is --data NAME, or --data PATH for your own.")),
    "dataroot": (("", "Your own pictures are --data PATH."),),
    "data-dir": (("", "Your own pictures are --data PATH."),),
    "image-size": (("", _SIZE),),
    "img-size": (("", _SIZE),),
    "imgsize": (("", _SIZE),),
    "resolution": (("", _SIZE),),
    "size": (("", _SIZE),),
    "mirror": (("", "To mirror pictures: --set data.mirror=true."),),
    "nz": (("model.latent_dim", ""), ("", _LATENT)),
    "z-dim": (("model.latent_dim", ""), ("", _LATENT)),
    "latent-dim": (("model.latent_dim", ""), ("", _LATENT)),
    "ngf": (("model.width", ""), ("", _WIDTH)),
    "ndf": (("model.width", ""), ("", _WIDTH)),
    "n-critic": (("loss.n_critic", ""), ("", _CRITIC)),
    "critic-iters": (("loss.n_critic", ""), ("", _CRITIC)),
    "d-steps": (("loss.n_critic", ""), ("", _CRITIC)),
    "lambda-gp": (("", "The weight of a penalty is --set penalties.gradient-penalty.weight=N."),),
    "gamma": (("", "The weight of a penalty is --set penalties.r1.weight=N."),),
    "save-every": (("train.checkpoint_every", ""), ("", "Checkpoints are saved --checkpoint-every N steps.")),
    "accumulate-grad-batches": (("", _ACCUMULATE),),
    "gradient-accumulation-steps": (("", _ACCUMULATE),),
    "grad-accum": (("", _ACCUMULATE),),
    "nproc-per-node": (("", _PROCESSES),),
    "ddp": (("", _PROCESSES),),
    "num-processes": (("", _PROCESSES),),
    "num-samples": (("", "The number of samples is -n N."),),
    "seeds": (("", "The noise is chosen by --seed N; 'ganzoo reproduce' takes several."),),
}
"""Name -> rows of (a name that must be known, a sentence). Without a sentence, the known name is suggested."""


def lead(name: str, known: Container[str], *, sentences: bool = True) -> str:
    """Return a sentence for a name that others use; empty if it is not one.

    Args:
        name: what was typed, such as ``lsgan``, ``train.lr`` or ``--learning_rate``.
        known: the names that were possible.
        sentences: also return sentences that lead to none of these.
    """
    plain = name.rpartition(".")[2].lstrip("-").lower().replace("_", "-")
    for needs, sentence in NAMES.get(plain, ()):
        if (needs in known if needs else sentences) and f"--set {name}=" not in sentence:
            return sentence or f"Did you mean {needs!r}?"
    return ""
