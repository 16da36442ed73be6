"""tract (Rust) on one CPU thread, which is its default, through its Python binding."""
from engines.onnxruntime import write

PACKAGES = ["tract==0.23.9", "onnx==1.23.2", "numpy"]
ROWS = {"tract-cpu": "CPU, one thread, f32"}


def load(row, folder, threads):
    import tract

    runnable = tract.onnx().load(str(folder / "net.onnx")).into_model().into_runnable()
    return lambda image: runnable.run([image])[0].to_numpy()
