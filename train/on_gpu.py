"""The same training where there is a CUDA device: a whole batch at once, the step recorded once and replayed."""

import torch
from torch.nn import functional as F

from train_cifar10 import Training, changed, draw_changes, hole_width, learning_rate, strong_share

EAGER = 5  # steps before recording: the optimisers make their states, the libraries choose their kernels


class GpuTraining(Training):
    """`Training` with everything on the device. A step is a thousand small kernels: launching them one by one would be most of its time."""

    def __init__(self, a, pool):
        super().__init__(a, pool, torch.device("cuda"))
        self.graph = self.batch = self.muon.pool = None  # other threads' work cannot be recorded
        self.eager = EAGER
        self.done = torch.cuda.Event()
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")

    def side(self):
        return 32  # what is recorded has one size, and there smaller pictures save little

    def train_step(self, x, y, rows):
        generator = torch.Generator().manual_seed((self.a.seed * 1000 + self.epoch) * 10000 + self.step)
        changes = draw_changes(len(rows), strong_share(self.progress), generator)
        rates = [learning_rate(self.progress, peak) for peak in (self.a.peak, self.a.turn)]
        width = hole_width(self.progress, self.a.cutout)
        drawn = [torch.tensor([*rates, self.average_decay(), width]), rows, *changes]
        if self.batch is None:
            self.batch = [t.to("cuda") for t in drawn]
            for group in self.muon.param_groups:
                group["lr"] = self.batch[0][1]
        self.done.synchronize()  # what was drawn meanwhile must not change what the last step still reads
        for held, new in zip(self.batch, drawn):
            held.copy_(new)
        if self.graph:
            self.graph.replay()
        elif self.eager:
            self.eager -= 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self.loss = self.work(x, y)
            torch.cuda.current_stream().wait_stream(side)
        else:
            self.graph = torch.cuda.CUDAGraph()
            for w in self.parameters:
                w.grad = None
            with torch.cuda.graph(self.graph):
                self.loss = self.work(x, y)
            self.graph.replay()  # recording ran nothing
        self.losses.append(self.loss.clone())
        self.done.record()
        self.step += 1
        self.total += 1

    def work(self, x, y):
        """One step of the optimiser on the batch that is held."""
        rates, rows, *changes = self.batch
        pictures = changed(x[rows], *changes, rates[3], self.side()).contiguous(memory_format=torch.channels_last)
        self.net.train()
        with torch.autocast("cuda", torch.bfloat16):
            logits = self.net(pictures)
        loss = F.cross_entropy(logits.float(), y[rows], label_smoothing=self.a.smoothing)
        for w, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters)):
            w.grad = gradient
        with torch.no_grad():
            for group in self.sgd.param_groups:
                self.descend(group, rates[0])
            self.muon.step()
            kept = [self.kept[k].detach() for k in self.mean]
            torch._foreach_mul_(list(self.mean.values()), rates[2])
            torch._foreach_add_(list(self.mean.values()), torch._foreach_mul(kept, 1 - rates[2]))
        return loss.detach()

    def descend(self, group, rate):
        """What `torch.optim.SGD` does, which cannot be recorded with a learning rate that changes."""
        weights = group["params"]
        gradients = torch._foreach_add([w.grad for w in weights], weights, alpha=group["weight_decay"])
        for w in weights:
            if not self.sgd.state[w]:
                self.sgd.state[w]["momentum_buffer"] = torch.zeros_like(w)
        velocities = [self.sgd.state[w]["momentum_buffer"] for w in weights]
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, gradients)
        steps = torch._foreach_add(gradients, velocities, alpha=group["momentum"])
        torch._foreach_mul_(steps, rate)
        torch._foreach_sub_(weights, steps)
