"""A checkpoint as the other engines read it: OUT.onnx for ONNX Runtime Web, OUT.json and OUT.bin for TensorFlow.js.

    mobilenet inspect --json CHECKPOINT > facts.json
    python web/bench/export.py CHECKPOINT facts.json OUT

Needs numpy and onnx; the layers are read as for the native peers (benches/peers).
"""
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "benches" / "peers"))
import network  # noqa: E402
import onnx_file  # noqa: E402

checkpoint, facts, out = sys.argv[1:]
facts = json.loads(Path(facts).read_text())
layers = network.read(checkpoint, facts)
onnx_file.write(layers, facts["input_size"], out + ".onnx")

steps, values = [], []
offset = 0


def put(array):
    global offset
    array = np.ascontiguousarray(array, dtype=np.float32)
    values.append(array.tobytes())
    place = {"offset": offset, "shape": list(array.shape)}
    offset += array.size
    return place


for layer in layers:
    step = {"op": layer.op, "name": layer.name, "source": layer.source, "other": layer.other, "stride": layer.stride,
            "padding": list(layer.padding), "activation": layer.activation}
    if layer.op == "linear":
        step["weight"] = put(layer.weight.T)
    elif layer.op == "depthwise":  # OIHW with I = 1 -> HWC1
        step["weight"] = put(layer.weight[:, 0].transpose(1, 2, 0)[..., None])
    elif layer.weight is not None:  # OIHW -> HWIO
        step["weight"] = put(layer.weight.transpose(2, 3, 1, 0))
    if layer.weight is not None:
        step["bias"] = put(layer.bias)
    steps.append(step)
Path(out + ".json").write_text(json.dumps(steps))
Path(out + ".bin").write_bytes(b"".join(values))
