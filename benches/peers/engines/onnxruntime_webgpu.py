"""ONNX Runtime's native WebGPU execution provider (Dawn), of the build that carries it.

The plugin onnxruntime-ep-webgpu is newer, but offers no device on a software adapter.
"""
from engines.onnxruntime import write

PACKAGES = ["onnxruntime-webgpu==1.27.0", "onnx==1.23.2", "numpy"]
ROWS = {"onnxruntime-webgpu": "WebGPU execution provider, f32"}
GPU_ROWS = set(ROWS)


def load(row, folder, threads):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "net.onnx", providers=["WebGpuExecutionProvider"])
    if session.get_providers()[0] != "WebGpuExecutionProvider":
        raise SystemExit(f"ONNX Runtime took {session.get_providers()[0]} instead of WebGPU")
    return lambda image: session.run(None, {"input": image})[0]
