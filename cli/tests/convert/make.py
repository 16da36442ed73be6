"""Makes the files of this folder with PyTorch (2.x): python make.py"""

import argparse
import collections
import os

import torch


def state_dict():
    return collections.OrderedDict(
        {
            "conv.weight": (torch.arange(12, dtype=torch.float32) / 4).reshape(2, 2, 1, 3),
            "half.weight": (torch.arange(6) / 8).half().reshape(2, 3),
            "brain.weight": (torch.arange(6) / 16).bfloat16().reshape(3, 2),
            "double.bias": torch.tensor([0.5, -0.25], dtype=torch.float64),
            "turned.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3).t(),
            "bn.num_batches_tracked": torch.tensor(7),
        }
    )


class Hostile:
    """Runs a command when PyTorch loads it without `weights_only`."""

    def __reduce__(self):
        return os.system, ("touch mobilenet-was-here",)


torch.save(state_dict(), "zip.pth")
torch.save(state_dict(), "legacy.pth", _use_new_zipfile_serialization=False)
average = {"module." + k: v + 1 if v.is_floating_point() else v for k, v in state_dict().items()}
optimizer = {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
whole = {"epoch": 3, "arch": "mobilenetv2", "args": argparse.Namespace(lr=0.1), "optimizer": optimizer}
torch.save({**whole, "state_dict": state_dict(), "state_dict_ema": average}, "nested.pth")
hostile = state_dict() | {"hostile": Hostile()}
torch.save(hostile, "malicious_zip.pth")
torch.save(hostile, "malicious_legacy.pth", _use_new_zipfile_serialization=False)
