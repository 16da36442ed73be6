"""wonnx (Rust, wgpu) through its Python binding."""
from engines.onnxruntime import write

PACKAGES = ["wonnx==0.5.1", "onnx==1.23.2", "numpy"]
ROWS = {"wonnx": "wgpu, f32"}
GPU_ROWS = set(ROWS)


def load(row, folder, threads):
    import wonnx

    session = wonnx.Session.from_path(str(folder / "net.onnx"))
    return lambda image: session.run({"input": image.ravel()})["logits"]  # a list: that is what its users get
