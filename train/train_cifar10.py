"""Train the built-in model: MobileNetV2 at width 0.75 on CIFAR-10, from scratch, on a CPU or a CUDA device.

    python train_cifar10.py --data DIR --out DIR [--epochs 88]

`--data` holds `train.zip` and `test.zip` (`split/class/NNNN.jpg`); where it does not, torchvision puts CIFAR-10 there.
The state is saved every hundred steps; started again with the same arguments, the run goes on where it stopped.
At the end it writes `mobilenet_v2_cifar10.safetensors` and `log.json` to `--out`. README.md says how long it takes and
what came out.
"""

import argparse
import ctypes
import io
import json
import os
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: parallel are the parts of a batch, not the loops within an operation

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from muon import Muon
from network import STRIDES, TrainingPass, build

CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
PART = 32  # pictures a thread takes at a time, and over which a batch norm averages
SAVE_EVERY = 100  # steps


def load(folder, split):
    """All pictures of a split as (uint8 `[N, 3, 32, 32]`, int64 `[N]`)."""
    pictures, labels = [], []
    path = os.path.join(folder, f"{split}.zip")
    if os.path.exists(path):
        with zipfile.ZipFile(path) as z:
            for name in sorted(n for n in z.namelist() if n.endswith((".jpg", ".png"))):
                pictures.append(np.asarray(Image.open(io.BytesIO(z.read(name))).convert("RGB")))
                labels.append(CLASSES.index(name.split("/")[-2]))
    else:
        cifar = torchvision.datasets.CIFAR10(folder, train=split == "train", download=True)
        pictures, labels = cifar.data, cifar.targets  # its classes are in the same order
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def keep_freed_memory():
    """Have glibc keep what is freed: activations come and go in every step, and on fresh pages a step takes a fifth longer."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        for option, value in ((-3, 1 << 30), (-1, 2**31 - 1), (-2, 256 << 20)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(option, value)


def scaled(x):
    return (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def side_at(progress):
    """Side of the training pictures: smaller ones at first, when there are coarse things to learn, cost half as much."""
    return 24 if progress < 0.4 else 28 if progress < 0.7 else 32


def strong_share(progress):
    """Share of the pictures that are zoomed and recoloured, which real photographs need; few in the last epochs."""
    return 0.3 if progress < 0.85 else 0.1


def hole_width(progress, width):
    """Width of the square that is cut out of each picture: none in the last epochs, when pictures are to look as they will."""
    return width if progress < 0.9 else 0


def learning_rate(progress, peak):
    """One cycle: up over the first seventh, then down to zero along a cosine."""
    if progress < 0.15:
        return peak * (0.04 + 0.96 * progress / 0.15)
    return peak * 0.5 * (1 + float(np.cos(np.pi * min(1, (progress - 0.15) / 0.85))))


def draw_changes(n, share, generator):
    """Random changes for n pictures: (affine maps `[n, 2, 3]`, colour `[n, 3]`: contrast, brightness, saturation, holes `[n, 2]`: middle).

    All are mirrored with chance 1/2 and shifted by up to 4 pixels; `share` of them also zoomed and recoloured, and a fifth of these turned grey.
    """
    uniform = lambda low, high, *shape: torch.rand(*shape, generator=generator) * (high - low) + low
    strong = (torch.rand(n, generator=generator) < share).float()
    zoom = 1 + strong * (uniform(0.6, 1.15, n) - 1)
    stretch = 1 + strong * uniform(-0.1, 0.1, n)
    mirror = torch.randint(0, 2, (n,), generator=generator) * 2 - 1.0
    shift = torch.randint(-4, 5, (n, 2), generator=generator) / 16  # whole pixels; the picture spans [-1, 1]
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0], maps[:, 1, 1], maps[:, :, 2] = mirror * zoom * stretch, zoom / stretch, shift
    colour = torch.tensor([1.0, 0.0, 1.0]) + strong[:, None] * uniform(-1, 1, n, 3) * torch.tensor([0.25, 0.2, 0.6])
    colour[:, 2] *= 1 - strong * (uniform(0, 1, n) < 0.2)
    return maps, colour, torch.randint(0, 32, (n, 2), generator=generator)


def cut(x, holes, width):
    """Uint8 pictures with a grey square of `width` pixels in each, or less at the border (DeVries and Taylor, 2017); 0 for none."""
    within = ((torch.arange(x.shape[-1], device=x.device) - holes[:, :, None]) * 2 + 1).abs() <= width
    return x.masked_fill((within[:, 0, :, None] & within[:, 1, None, :])[:, None], 127)


def changed(x, maps, colour, holes, width, side):
    """Apply `draw_changes`, with holes of `width` pixels, to uint8 pictures; f32 `[n, 3, side, side]` in [-1, 1]."""
    x = cut(x, holes, width).float() / 127.5 - 1
    grid = F.affine_grid(maps, [len(x), 3, side, side], align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    contrast, brightness, saturation = (c[:, None, None, None] for c in colour.T)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * saturation
    middle = x.mean((1, 2, 3), keepdim=True)
    return (middle + (x - middle) * contrast + brightness).clamp(-1, 1)


@torch.no_grad()
def accuracy(net, x, y, pool, precision=torch.bfloat16):
    """Share of the pictures that `net` gets right."""

    @torch.no_grad()
    def right(part):
        with torch.autocast(x.device.type, precision, enabled=precision != torch.float32):
            return (net(scaled(x[part])).argmax(1) == y[part]).sum().item()

    net.eval()
    return sum(pool.map(right, torch.arange(len(x)).split(125 if x.device.type == "cpu" else 1000))) / len(x)


@contextmanager
def shared_machine(path):
    """Hold a shared lock while working, so that a timed run elsewhere can ask for silence (no-op without a path)."""
    if not path:
        yield
        return
    import fcntl  # not on Windows

    with open(path, "a") as f:
        fcntl.flock(f, fcntl.LOCK_SH)
        yield
    time.sleep(0.02)


class Training:
    """The network, its optimiser, the average that is kept as the result, and where in the schedule it is."""

    def __init__(self, a, pool, device=torch.device("cpu")):
        self.a, self.pool, self.device = a, pool, device
        self.net = build(a.width, len(CLASSES)).to(device)
        self.training_pass = TrainingPass(self.net) if device.type == "cpu" else None
        self.parameters = list(self.net.parameters())
        pointwise = [m.weight for m in self.net.modules() if isinstance(m, torch.nn.Conv2d) and m.groups == 1]
        classifier = self.net.classifier[1].weight
        others = [w for w in self.parameters if w is not classifier and all(w is not p for p in pointwise)]
        self.muon = Muon(pointwise, a.turn, 0.9, pool)
        groups = [{"params": [classifier], "weight_decay": a.decay}, {"params": others}]
        self.sgd = torch.optim.SGD(groups, lr=a.peak, momentum=0.9, nesterov=True)
        self.mean = {k: v.clone() for k, v in self.net.state_dict().items() if v.is_floating_point()}
        self.kept = {k: v for k, v in self.net.state_dict().items() if v.is_floating_point()}
        norms = [m for m in self.net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        self.running = [[m.running_mean for m in norms], [m.running_var for m in norms]]
        self.epoch = self.step = self.total = 0
        self.progress = self.seconds = 0.0
        self.losses, self.log = [], []

    def save(self, path):
        names = ("epoch", "step", "total", "progress", "seconds", "losses", "log", "mean")
        state = {n: getattr(self, n) for n in names}
        for name in ("net", "sgd", "muon"):
            state[name] = getattr(self, name).state_dict()
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)

    def restore(self, path):
        state = torch.load(path, map_location=self.device)
        for name in ("net", "sgd", "muon"):
            getattr(self, name).load_state_dict(state.pop(name))
        for name, value in state.items():
            setattr(self, name, value)

    def start_from(self, path):
        """Take trained weights instead of random ones, and so leave out the part of the schedule that warms up."""
        self.net.load_state_dict({k: v.float() for k, v in load_file(path).items()}, strict=False)
        self.mean = {k: v.clone() for k, v in self.kept.items()}
        self.progress = 0.2

    def gradients(self, pictures, labels, changes, width, side):
        """(loss, gradients of all parameters, statistics of all batch norms) of a part of a batch."""
        logits, statistics = self.training_pass(changed(pictures, *changes, width, side))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.a.smoothing)
        return loss.item(), torch.autograd.grad(loss, self.parameters), statistics

    def train_step(self, x, y, rows):
        """One step of the optimiser. Parts are summed in their order, so the number of threads changes nothing."""
        generator = torch.Generator().manual_seed((self.a.seed * 1000 + self.epoch) * 10000 + self.step)
        changes = draw_changes(len(rows), strong_share(self.progress), generator)
        sizes = hole_width(self.progress, self.a.cutout), self.side()
        parts = list(zip(rows.split(PART), *(drawn.split(PART) for drawn in changes)))
        results = list(self.pool.map(lambda p: self.gradients(x[p[0]], y[p[0]], p[1:], *sizes), parts))
        losses, gradients, statistics = zip(*results)
        for i, w in enumerate(self.parameters):
            w.grad = sum(g[i] for g in gradients) / len(parts)
        for optimiser, peak in ((self.sgd, self.a.peak), (self.muon, self.a.turn)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(self.progress, peak)
            optimiser.step()
        for which, running in enumerate(self.running):
            seen = [sum(s[i][which] for s in statistics) / len(parts) for i in range(len(running))]
            torch._foreach_lerp_(running, seen, 0.1)
        torch._foreach_lerp_(list(self.mean.values()), [self.kept[k].detach() for k in self.mean], 1 - self.average_decay())
        self.losses.append(sum(losses) / len(losses))
        self.step += 1
        self.total += 1

    def side(self):
        """Side of the pictures in this step."""
        return side_at(self.progress)

    def average_decay(self):
        """Decay of the average in this step: less in the first ones, when the weights still change a lot."""
        return min(self.a.average, (1 + self.total) / (10 + self.total))

    def run(self, x, y, test, path):
        """Train to the end of the schedule, saving and logging on the way."""
        a, steps = self.a, len(x) // self.a.batch
        average = build(a.width, len(CLASSES)).to(self.device)
        while self.progress < 1:
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(a.seed * 1000 + self.epoch))
            while self.step < steps and self.progress < 1:
                with shared_machine(a.lock):
                    began = time.time()  # so that waiting for the lock does not count
                    self.train_step(x, y, order[self.step * a.batch : (self.step + 1) * a.batch])
                    spent = time.time() - began
                self.seconds += spent
                self.progress += spent / (60 * a.minutes) if a.minutes else 1 / (a.epochs * steps)
                if not a.minutes and self.progress > 1 - 0.5 / (a.epochs * steps):
                    self.progress = 1.0  # whatever the sum was rounded to
                if self.step % SAVE_EVERY == 0:
                    self.save(path)
            self.epoch += 1
            average.load_state_dict(self.mean, strict=False)
            tested = self.epoch % a.test_every == 0 or self.progress >= 1
            row = {
                "epoch": self.epoch,
                "steps": self.step,
                "progress": round(self.progress, 4),
                "side": self.side(),
                "loss": round(float(sum(self.losses)) / len(self.losses), 4),
                "test": accuracy(average, *test, self.pool) if tested else None,
                "seconds": round(self.seconds, 1),
            }
            self.log.append(row)
            print(json.dumps(row), flush=True)
            self.step, self.seconds, self.losses = 0, 0.0, []
            self.save(path)

    def publish(self, test, out):
        """Write the averaged weights (torchvision's names; matrices f16, the rest f32) and the log."""
        tensors = {k: (v.half() if v.ndim > 1 else v).cpu().contiguous() for k, v in self.mean.items()}
        metadata = {
            "architecture": "mobilenet_v2",
            "width": str(self.a.width),
            "strides": ",".join(map(str, STRIDES)),
            "input_size": "32",
            "padding": "symmetric",
            "bn_eps": "1e-5",
            "mean": "0.5,0.5,0.5",
            "std": "0.5,0.5,0.5",
            "labels": json.dumps(CLASSES),
            "interpolation": "bilinear",
            "resize": "larger 0.8",  # CIFAR's own pictures whole, of photographs the centre
        }
        save_file(tensors, f"{out}/mobilenet_v2_cifar10.safetensors", metadata)
        halved = build(self.a.width, len(CLASSES)).to(self.device)
        halved.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=False)
        result = accuracy(halved, *test, self.pool, torch.float32)
        settings = {k: v for k, v in vars(self.a).items() if k not in ("data", "out", "init", "lock", "threads", "test_every")}
        hours = round(sum(row["seconds"] for row in self.log) / 3600, 2)
        log = {"settings": settings, "went_on_from": bool(self.a.init), "torch": torch.__version__, "test": result, "hours": hours, "epochs": self.log}
        with open(f"{out}/log.json", "w") as f:
            json.dump(log, f, indent=1)
        print(f"test accuracy with f16 weights {result:.4f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--width", type=float, default=0.75)
    p.add_argument("--epochs", type=int, default=88)
    p.add_argument("--minutes", type=float, help="instead of --epochs: as many as fit; the log says how many those were")
    p.add_argument("--batch", type=int, default=256)
    p.add_argument("--turn", type=float, default=0.008, help="highest learning rate of stem and pointwise weights (see muon.py)")
    p.add_argument("--peak", type=float, default=0.16, help="highest learning rate of the others")
    p.add_argument("--decay", type=float, default=3e-4, help="weight decay of the classifier")
    p.add_argument("--smoothing", type=float, default=0.05)
    p.add_argument("--cutout", type=int, default=8, help="width of the grey square in each training picture, in pixels")
    p.add_argument("--average", type=float, default=0.998, help="decay of the moving average that is kept as the result")
    p.add_argument("--test-every", type=int, default=1, help="epochs from one look at the test pictures to the next")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--init", help="weights to go on from, in a shorter cycle (a file that this script wrote)")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--lock", help="a lock file, see shared_machine")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    keep_freed_memory()
    torch.manual_seed(a.seed)
    train, test = load(a.data, "train"), load(a.data, "test")
    print(f"{len(train[0])} pictures to train on, {len(test[0])} to test on", flush=True)
    with ThreadPoolExecutor(a.threads) as pool:
        if a.device == "cuda":
            from on_gpu import GpuTraining as Kind

            train, test = [[t.cuda() for t in split] for split in (train, test)]
        else:
            Kind = Training
        training, state = Kind(a, pool), f"{a.out}/state.pt"
        if os.path.exists(state):
            training.restore(state)
            print(f"going on after epoch {training.epoch}, step {training.step}", flush=True)
        elif a.init:
            training.start_from(a.init)
        training.run(*train, test, state)
        training.publish(test, a.out)


if __name__ == "__main__":
    main()
