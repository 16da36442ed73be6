"""A checkpoint as a list of layers: what every engine's file is written from.

What kind of checkpoint it is (scheme of the names, order of the axes, strides, padding, epsilon) is asked of
`mobilenet inspect --json`, whose answer is `facts`; the tensors are read here, and batch norm is folded here.
"""
import math
from dataclasses import dataclass

import numpy as np

import tensorfile

V2_REPEATS = [1, 2, 3, 4, 3, 3, 1]  # blocks a stage, MobileNetV2 paper, table 2


@dataclass
class Layer:
    op: str  # conv, depthwise, add, pool, linear
    name: str
    source: str  # name of the layer that it reads; "input" is the picture
    other: str | None = None  # of an add: the second layer
    weight: np.ndarray | None = None  # OIHW; linear: [O, I]
    bias: np.ndarray | None = None
    stride: int = 1
    padding: tuple = (0, 0, 0, 0)  # top, left, bottom, right
    activation: str | None = None  # relu6, relu
    shape: tuple = ()  # of its output: channels, height, width


def read(checkpoint, facts):
    """The layers of a checkpoint, in order; the last is `logits`."""
    if facts["classes"] is None:
        raise SystemExit("the checkpoint has no classifier, so there are no logits to compare")
    if facts["scheme"] not in KEYS:
        raise SystemExit(f"names of {facts['scheme']} are not read here, only those of {', '.join(KEYS)}")
    if facts["scheme"] == "keras" and any(side % 32 for side in facts["input_size"]):
        raise SystemExit("Keras pads odd maps in a way of its own: take an input size that 32 divides")
    return Reader(checkpoint, facts).layers()


class Reader:
    def __init__(self, checkpoint, facts):
        self.facts, self.tensors, self.list = facts, tensorfile.read(checkpoint), []
        self.keys = KEYS[facts["scheme"]][facts["architecture"]]

    def layers(self):
        stem, *strides = self.facts["strides"]
        self.convolution("stem", stride=stem)
        {"mobilenet_v1": self.v1_blocks, "mobilenet_v2": self.v2_blocks}[self.facts["architecture"]](strides)
        channels = self.list[-1].shape[0]
        self.append(Layer("pool", "pool", self.list[-1].name, shape=(channels, 1, 1)))
        weight, bias = self.filters("logits", 0)
        self.append(Layer("linear", "logits", "pool", weight=weight[:, :, 0, 0], bias=bias, shape=(len(bias), 1, 1)))
        return self.list

    def v1_blocks(self, strides):
        for block, stride in enumerate(strides):
            self.convolution("depthwise", block, stride=stride)
            self.convolution("project", block)

    def v2_blocks(self, strides):
        block = 0
        for repeats, first in zip(V2_REPEATS, strides):
            for stride in [first] + [1] * (repeats - 1):
                entry = self.list[-1]
                if block > 0:
                    self.convolution("expand", block)
                self.convolution("depthwise", block, stride=stride)
                self.convolution("project", block, activation=None)
                exit = self.list[-1]
                if entry.shape == exit.shape:
                    self.append(Layer("add", f"add{block}", exit.name, other=entry.name, shape=exit.shape))
                block += 1
        self.convolution("last", block)

    def convolution(self, unit, block=0, stride=1, **changes):
        source, shape = ("input", (3, *self.facts["input_size"])) if not self.list else (self.list[-1].name, self.list[-1].shape)
        weight, bias = self.filters(unit, block)
        padding = self.padding(shape[1:], weight.shape[2], stride)
        height, width = (
            (size + before + after - weight.shape[2]) // stride + 1
            for size, before, after in zip(shape[1:], padding[:2], padding[2:])
        )
        fields = dict(weight=weight, bias=bias, stride=stride, padding=padding, shape=(len(weight), height, width))
        fields["activation"] = self.facts["activation"]
        op = "depthwise" if unit == "depthwise" else "conv"
        self.append(Layer(op, f"{unit}{block or ''}", source, **{**fields, **changes}))

    def padding(self, size, kernel, stride):
        if self.facts["padding"] == "symmetric":
            return (kernel // 2,) * 4
        totals = [max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in size]
        before = [total // 2 for total in totals]  # TensorFlow's SAME: the odd one goes to the bottom and right
        return (*before, *(total - first for total, first in zip(totals, before)))

    def append(self, layer):
        self.list.append(layer)

    def filters(self, unit, block):
        """Weights as OIHW and the bias, with the batch norm folded into them where there is one."""
        convolutions, norm = self.keys(unit, block)
        kind = {"depthwise": 1, "logits": 2}.get(unit, 0)
        weight = self.find(convolutions, "weight", "kernel", "depthwise_kernel", "weights", "depthwise_weights")
        if weight is None:
            raise SystemExit(f"the checkpoint has no tensor for {unit} of block {block}: {' or '.join(convolutions)}")
        weight = oihw(weight, self.facts["layouts"][kind])
        bias = self.find(convolutions, "bias", "biases")
        bias = np.zeros(len(weight), np.float32) if bias is None else bias
        mean = self.find(norm, "running_mean", "moving_mean")
        if mean is None:
            return weight, bias
        gamma, beta = self.find(norm, "weight", "gamma"), self.find(norm, "bias", "beta")
        variance = self.find(norm, "running_var", "moving_variance")
        scale = (1 if gamma is None else gamma) / np.sqrt(variance.astype(np.float64) + self.facts["bn_eps"])
        bias = (bias - mean) * scale + (0 if beta is None else beta)
        return (weight * scale[:, None, None, None]).astype(np.float32), bias.astype(np.float32)

    def find(self, keys, *suffixes):
        for key in keys:
            for name in (f"{self.facts['prefix']}{key}{dot}{suffix}" for suffix in suffixes for dot in "./"):
                if name in self.tensors:
                    return as_f32(*self.tensors[name])
        return None


def as_f32(kind, shape, data):
    if kind == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return np.frombuffer(data, {"F32": np.float32, "F16": np.float16}[kind]).astype(np.float32).reshape(shape)


def oihw(weight, layout):
    present = [axis for axis in "OIHW" if axis in layout]
    weight = weight.transpose([layout.index(axis) for axis in present])
    return np.ascontiguousarray(weight[tuple(slice(None) if axis in layout else None for axis in "OIHW")])


# Where each scheme keeps a unit's convolution and its norm: (names in order of preference, names of the norm).


def torchvision_v2(unit, block):
    base, expanded = f"features.{block + 1}", int(block > 0)
    return {
        "stem": (["features.0.0"], ["features.0.1"]),
        "expand": ([f"{base}.conv.0.0"], [f"{base}.conv.0.1"]),
        "depthwise": ([f"{base}.conv.{expanded}.0"], [f"{base}.conv.{expanded}.1"]),
        "project": ([f"{base}.conv.{1 + expanded}"], [f"{base}.conv.{2 + expanded}"]),
        "last": ([f"{base}.0"], [f"{base}.1"]),
        "logits": (["classifier.1", "classifier"], []),
    }[unit]


def keras_v1(unit, block):
    pair = lambda name: ([name], [name + "_bn"])
    return {
        "stem": pair("conv1"),
        "depthwise": pair(f"conv_dw_{block + 1}"),
        "project": pair(f"conv_pw_{block + 1}"),
        "logits": (["conv_preds", "Logits"], []),
    }[unit]


def keras_v2(unit, block):
    if unit in ("expand", "depthwise", "project"):
        name = f"block_{block}_{unit}" if block else f"expanded_conv_{unit}"
        return [name], [name + "_BN"]
    return {
        "stem": (["Conv1"], ["bn_Conv1"]),
        "last": (["Conv_1"], ["Conv_1_bn"]),
        "logits": (["predictions", "Logits"], []),
    }[unit]


def tf_slim_v1(unit, block):
    name = {
        "stem": "Conv2d_0",
        "depthwise": f"Conv2d_{block + 1}_depthwise",
        "project": f"Conv2d_{block + 1}_pointwise",
        "logits": "Logits/Conv2d_1c_1x1",
    }[unit]
    return [name], [name + "/BatchNorm"]


def tf_slim_v2(unit, block):
    base = f"expanded_conv_{block}" if block else "expanded_conv"
    name = {"stem": "Conv", "last": "Conv_1", "logits": "Logits/Conv2d_1c_1x1"}.get(unit, f"{base}/{unit}")
    return [name], [name + "/BatchNorm"]


KEYS = {
    "torchvision": {"mobilenet_v2": torchvision_v2},
    "keras": {"mobilenet_v1": keras_v1, "mobilenet_v2": keras_v2},
    "tf_slim": {"mobilenet_v1": tf_slim_v1, "mobilenet_v2": tf_slim_v2},
}
