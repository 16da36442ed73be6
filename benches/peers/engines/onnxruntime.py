"""ONNX Runtime on the CPU."""
PACKAGES = ["onnxruntime==1.32.0", "onnx==1.23.2", "numpy"]
ROWS = {"onnxruntime-cpu": "CPU execution provider, f32"}


def write(layers, size, folder):
    import onnx_file

    onnx_file.write(layers, size, folder / "net.onnx")


def load(row, folder, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(folder / "net.onnx", options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"input": image})[0]
