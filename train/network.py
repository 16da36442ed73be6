"""The network: torchvision's MobileNetV2 with strides for 32x32 pictures, and a quick training pass through it on CPUs."""

import os
import sys

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2
from torchvision.ops import Conv2dNormActivation

STRIDES = [1, 1, 1, 2, 2, 1, 2, 1]  # stem, then one a stage: 32x32 pictures cannot afford the five halvings of 224x224


def build(width, classes):
    """Torchvision's MobileNetV2 with the strides above; input `[N, 3, H, W]` scaled to [-1, 1], output `[N, classes]`."""
    net = mobilenet_v2(width_mult=width, num_classes=classes, dropout=0)
    net.features[0][0].stride = (STRIDES[0],) * 2
    net.features[2].conv[1][0].stride = (STRIDES[2],) * 2  # first block of the second stage: 2 in the paper
    return net.to(memory_format=torch.channels_last)


def load_kernels():
    """Compile `batch_norm.cpp`; None where there is no compiler (then training is slower, and the same)."""
    from torch.utils.cpp_extension import load

    # Ninja of this interpreter's environment, which need not be an active one.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "batch_norm.cpp")
    try:
        return load("mobilenet_batch_norm", [source], extra_cflags=["-O3", "-march=native", "-ffast-math"])
    except Exception as e:
        print(f"no compiled batch norm, training takes about twice as long: {str(e).splitlines()[0]}", flush=True)
        return None


class BatchNorm(torch.autograd.Function):
    """(x, gamma, beta, eps, relu6) to (y, batch mean, biased batch variance), by the kernels of `batch_norm.cpp`."""

    @staticmethod
    def forward(ctx, kernels, x, gamma, beta, eps, relu6):
        y, mean, variance = kernels.forward(x, gamma, beta, eps, relu6)
        ctx.save_for_backward(x, gamma, beta, mean, variance)
        ctx.kernels, ctx.eps, ctx.relu6 = kernels, eps, relu6
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx, dy, _mean, _variance):
        return (None, *ctx.kernels.backward(dy, *ctx.saved_tensors, ctx.eps, ctx.relu6), None, None)


class StridedDepthwise(torch.autograd.Function):
    """A depthwise 3x3 of stride 2. Its gradient is a stride-1 one over the spread-out `dy`: in bfloat16 on a CPU,
    PyTorch's own takes twenty times as long."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return F.conv2d(x, w, None, 2, 1, 1, len(w))

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        spread = torch.zeros_like(x)
        spread[:, :, ::2, ::2] = dy
        dx = F.conv2d(spread, w.flip(2, 3), None, 1, 1, 1, len(w))
        only_weights = [False, True, False]
        return dx, torch.ops.aten.convolution_backward(dy, x, w, None, [2, 2], [1, 1], [1, 1], False, [0, 0], len(w), only_weights)[1]


class TrainingPass:
    """`net(x)` in training mode, in bfloat16, safe to run in several threads at once: nothing of `net` is written.

    Call it with x `[N, 3, H, W]` f32; it gives logits `[N, classes]` f32 and, for each batch norm in the order of
    `norms`, the batch's (mean, unbiased variance).
    """

    def __init__(self, net):
        self.net, self.kernels = net, load_kernels()
        self.norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]

    def __call__(self, x):
        statistics = []
        x = x.bfloat16().contiguous(memory_format=torch.channels_last)
        for block in self.net.features:
            if isinstance(block, Conv2dNormActivation):
                x = self.unit(x, block[0], block[1], True, statistics)
                continue
            *expanded, project, norm = block.conv
            y = x
            for unit in expanded:
                y = self.unit(y, unit[0], unit[1], True, statistics)
            y = self.unit(y, project, norm, False, statistics)
            x = x + y if block.use_res_connect else y
        return self.net.classifier(x.float().mean((2, 3))), statistics

    def unit(self, x, conv, norm, relu6, statistics):
        """Convolution, batch norm and, if asked for, ReLU6."""
        w = conv.weight.bfloat16()
        if conv.groups > 1 and conv.stride[0] == 2:
            x = StridedDepthwise.apply(x, w)
        else:
            x = F.conv2d(x, w, None, conv.stride, conv.padding, 1, conv.groups)
        count = x.numel() / x.shape[1]
        if self.kernels:
            x, mean, variance = BatchNorm.apply(self.kernels, x, norm.weight, norm.bias, norm.eps, relu6)
        else:
            with torch.no_grad():
                variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
            x = F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)
            x = F.relu6(x) if relu6 else x
        statistics.append((mean, variance * count / (count - 1)))
        return x
