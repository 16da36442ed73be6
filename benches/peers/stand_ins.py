"""Writes V1 and V2 1.0/224 with random weights, for those who have no checkpoint at hand: an engine's time does not
depend on the values, and its result can be checked all the same.

    stand_ins.py FOLDER
"""
import sys
from pathlib import Path

import numpy as np

import network
import tensorfile

V1_CHANNELS = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
V2_CHANNELS = [16, 24, 32, 64, 96, 160, 320]


class Checkpoint:
    def __init__(self, keys, prefix, order, suffixes):
        self.keys, self.prefix, self.order, self.suffixes = keys, prefix, order, suffixes
        self.random, self.tensors = np.random.default_rng(1), {}

    def add(self, unit, block, inputs, outputs, kernel=1, gain=2.0):
        """Normal weights with a variance of gain / inputs, so that activations keep their size from layer to layer."""
        name = self.prefix + self.keys(unit, block)[0][0]
        weight = self.random.normal(0, (gain / (inputs * kernel**2)) ** 0.5, (outputs, inputs, kernel, kernel)).astype(np.float32)
        bias = self.random.normal(0, 0.1, outputs).astype(np.float32)
        if unit == "logits" and self.order == "OIHW":
            weight = weight[:, :, 0, 0]
        elif self.order == "OHWI":
            weight = weight.transpose((1, 2, 3, 0) if unit == "depthwise" else (0, 2, 3, 1))
        for suffix, array in zip(self.suffixes, (weight, bias)):
            self.tensors[name + suffix] = (array.shape, np.ascontiguousarray(array).tobytes())


def v1():
    checkpoint = Checkpoint(network.tf_slim_v1, "MobilenetV1/", "OHWI", ("/weights", "/bias"))
    checkpoint.add("stem", 0, 3, 32, kernel=3)
    for block, (inputs, outputs) in enumerate(zip([32, *V1_CHANNELS], V1_CHANNELS)):
        checkpoint.add("depthwise", block, 1, inputs, kernel=3)
        checkpoint.add("project", block, inputs, outputs)
    checkpoint.add("logits", 0, 1024, 1001)
    return checkpoint.tensors


def v2():
    checkpoint = Checkpoint(network.torchvision_v2, "", "OIHW", (".weight", ".bias"))
    checkpoint.add("stem", 0, 3, 32, kernel=3)
    block, inputs = 0, 32
    for outputs, repeats in zip(V2_CHANNELS, network.V2_REPEATS):
        for _ in range(repeats):
            hidden = inputs * (6 if block else 1)
            if block:
                checkpoint.add("expand", block, inputs, hidden)
            checkpoint.add("depthwise", block, 1, hidden, kernel=3)
            checkpoint.add("project", block, hidden, outputs, gain=1.0)
            block, inputs = block + 1, outputs
    checkpoint.add("last", block, inputs, 1280)
    checkpoint.add("logits", 0, 1280, 1000)
    return checkpoint.tensors


def main():
    for name, tensors, padding in (("v1", v1(), "same"), ("v2", v2(), "symmetric")):
        folder = Path(sys.argv[1]) / f"mobilenet_{name}_1.0_224_random"
        folder.mkdir(parents=True, exist_ok=True)
        tensorfile.write(folder / "model.safetensors", tensors, {"padding": padding, "input_size": "224", "activation": "relu6"})


if __name__ == "__main__":
    main()
