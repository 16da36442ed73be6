"""What runs in an engine's own virtual environment; `peers` starts it.

    engine.py write ENGINE CASE FOLDER                          the network in the engine's format
    engine.py time ENGINE CASE FOLDER ROW THREADS RUNS SECONDS  one row of one round: JSON on the last line

CASE is a folder: `facts.json` (of `mobilenet inspect`, and where the checkpoint is) and `input.safetensors`.
The expected logits are not known here: `peers` checks those that come out.
"""
import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np

import tensorfile


def timed(call, *arguments):
    start = time.perf_counter()
    result = call(*arguments)
    return result, (time.perf_counter() - start) * 1e3


def picture(case, layout):
    kind, shape, data = tensorfile.read(case / "input.safetensors")["input"]
    image = np.frombuffer(data, np.float32).reshape(1, *shape)
    return np.ascontiguousarray(image if layout == "nchw" else image.transpose(0, 2, 3, 1))


def measure(engine, image, folder, row, threads, runs, seconds):
    """`first_ms` is load + compile + first inference; imports are not in it. Then two runs to warm up, then those timed."""
    for package in engine.PACKAGES[:1]:
        importlib.import_module(MODULES.get(package.split("==")[0], package.split("==")[0]))
    infer, load_ms = timed(engine.load, row, folder, threads)
    first, first_ms = timed(infer, image)
    for _ in range(2):
        infer(image)
    times = []
    while len(times) < runs or sum(times) < seconds * 1e3:
        last, elapsed = timed(infer, image)
        times.append(elapsed)
    logits = [np.asarray(values, np.float32).ravel().tolist() for values in (first, last)]
    device = engine.device() if row in getattr(engine, "GPU_ROWS", ()) and hasattr(engine, "device") else None
    return {"first_ms": load_ms + first_ms, "times_ms": times, "logits": logits, "device": device}


MODULES = {"ai-edge-litert": "ai_edge_litert.compiled_model", "onnxruntime-webgpu": "onnxruntime"}  # where the names differ


def main():
    command, name, case, folder, *arguments = sys.argv[1:]
    engine, case, folder = importlib.import_module(f"engines.{name}"), Path(case), Path(folder)
    if command == "write":
        import network

        facts = json.loads((case / "facts.json").read_text())
        engine.write(network.read(facts["checkpoint"], facts), facts["input_size"], folder)
        return
    row, threads, runs, seconds = arguments
    image = picture(case, getattr(engine, "LAYOUT", "nchw"))
    result = measure(engine, image, folder, row, int(threads), int(runs), float(seconds))
    print("\n" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
