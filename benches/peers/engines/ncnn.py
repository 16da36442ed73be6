"""ncnn through its Python binding. Its file is text (.param: the layers) and bytes (.bin: the weights in order)."""
from collections import Counter

PACKAGES = ["ncnn==1.0.20261020", "numpy"]
ROWS = {
    "ncnn-vulkan": "Vulkan, f32",
    "ncnn-vulkan-fp16": "Vulkan, f16 storage and arithmetic: its defaults",
    "ncnn-cpu": "CPU, f32",
}
GPU_ROWS = {"ncnn-vulkan", "ncnn-vulkan-fp16"}
HALF_ROWS = {"ncnn-vulkan-fp16"}


def write(layers, size, folder):
    import numpy

    text, blob_count, chunks = [], 0, []
    readers = Counter(name for layer in layers for name in (layer.source, layer.other))
    copies = Counter()

    def line(kind, name, sources, results, parameters=""):
        nonlocal blob_count
        blob_count += len(results)
        text.append(f"{kind} {name} {len(sources)} {len(results)} {' '.join([*sources, *results])} {parameters}".rstrip())

    def read(name):
        """A blob has one reader: of one that a Split copies, each reader takes the next copy."""
        if readers[name] < 2:
            return name
        copies[name] += 1
        return f"{name}_{copies[name]}"

    line("Input", "input", [], ["input"], f"0={size[1]} 1={size[0]} 2=3")
    for layer in layers:
        sources = [read(name) for name in (layer.source, layer.other) if name]
        line(*kind_and_parameters(layer, sources))
        if readers[layer.name] > 1:
            line("Split", layer.name + "_split", [layer.name], [f"{layer.name}_{copy + 1}" for copy in range(readers[layer.name])])
        if layer.weight is not None:
            chunks += [bytes(4), numpy.ascontiguousarray(layer.weight).tobytes(), layer.bias.tobytes()]  # a tag of 0: f32
    (folder / "net.param").write_text("\n".join(["7767517", f"{len(text)} {blob_count}", *text]) + "\n")
    (folder / "net.bin").write_bytes(b"".join(chunks))


def kind_and_parameters(layer, sources):
    """The numbers are ncnn's parameter ids (its wiki: operators)."""
    common = (layer.name, sources, [layer.name])
    if layer.op == "add":
        return "BinaryOp", *common, "0=0"
    if layer.op == "pool":
        return "Pooling", *common, "0=1 4=1"
    outputs = layer.weight.shape[0]
    if layer.op == "linear":
        return "InnerProduct", *common, f"0={outputs} 1=1 2={layer.weight.size}"
    top, left, bottom, right = layer.padding
    parameters = f"0={outputs} 1={layer.weight.shape[2]} 3={layer.stride} 4={left} 14={top} 15={right} 16={bottom} 5=1 6={layer.weight.size}"
    activation = {"relu6": " 9=3 -23310=2,0.0,6.0", "relu": " 9=1", None: ""}[layer.activation]
    if layer.op == "depthwise":
        return "ConvolutionDepthWise", *common, parameters + f" 7={outputs}" + activation
    return "Convolution", *common, parameters + activation


def load(row, folder, threads):
    import ncnn
    import numpy

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = row in GPU_ROWS
    if row not in HALF_ROWS:
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    if net.load_param(str(folder / "net.param")) or net.load_model(str(folder / "net.bin")):
        raise SystemExit("ncnn does not load the network")

    def infer(image):
        extractor = net.create_extractor()
        extractor.input("input", ncnn.Mat(image[0]))
        status, logits = extractor.extract("logits")
        if status:
            raise SystemExit(f"ncnn: extract gives {status}")
        return numpy.array(logits)

    return infer


def device():
    import ncnn

    return ncnn.get_gpu_info(ncnn.get_default_gpu_index()).device_name()
