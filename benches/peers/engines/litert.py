"""LiteRT: XNNPACK on the CPU, and its WebGPU accelerator (Dawn). Its .tflite file is written with the schema in its package."""
PACKAGES = ["ai-edge-litert==2.3.0", "numpy"]
ROWS = {"litert-webgpu": "WebGPU accelerator, f32 enforced", "litert-cpu": "XNNPACK, f32"}
GPU_ROWS = {"litert-webgpu"}
LAYOUT = "nhwc"


def write(layers, size, folder):
    import flatbuffers

    builder = flatbuffers.Builder(1 << 25)
    builder.Finish(Flatbuffer().model(layers, size).Pack(builder), b"TFL3")
    (folder / "net.tflite").write_bytes(builder.Output())


class Flatbuffer:
    """A model of one subgraph. Tensors are known by name; buffer 0 is the empty one, for tensors without data."""

    def __init__(self):
        from ai_edge_litert import schema_py_generated

        self.schema = schema_py_generated
        self.graph = self.schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.buffers, self.codes, self.numbers = [self.schema.BufferT()], [], {}

    def model(self, layers, size):
        self.tensor("input", (1, *size, 3))
        shapes = {"input": (3, *size)}
        for layer in layers:
            shapes[layer.name] = layer.shape
            {"conv": self.convolution, "depthwise": self.convolution, "add": self.add, "pool": self.pool,
             "linear": self.linear}[layer.op](layer, shapes[layer.source])
        self.graph.inputs, self.graph.outputs = [self.numbers["input"]], [self.numbers["logits"]]
        model = self.schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [self.graph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = self.schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            model.operatorCodes.append(entry)
        return model

    def convolution(self, layer, shape):
        channels, height, width = shape
        source, padding = layer.source, self.schema.Padding.SAME
        if layer.stride > 1 and layer.padding == (1, 1, 1, 1):  # not TensorFlow's SAME: a PAD, then VALID
            source, padding = layer.name + ".padded", self.schema.Padding.VALID
            amounts = self.constant(source + ".amounts", [[0, 0], [1, 1], [1, 1], [0, 0]], "int32")
            self.operator("PAD", [layer.source, amounts], source, (1, height + 2, width + 2, channels), "PadOptions")
        depthwise = layer.op == "depthwise"
        weight = layer.weight.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        inputs = [source, self.constant(layer.name + ".weight", weight), self.constant(layer.name + ".bias", layer.bias)]
        activation = {"relu6": self.schema.ActivationFunctionType.RELU6, "relu": self.schema.ActivationFunctionType.RELU}
        fields = dict(padding=padding, strideW=layer.stride, strideH=layer.stride,
                      fusedActivationFunction=activation.get(layer.activation, 0))
        if depthwise:
            fields["depthMultiplier"] = 1
        kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
        self.operator(kind[0], inputs, layer.name, (1, *layer.shape[1:], layer.shape[0]), kind[1], **fields)

    def add(self, layer, shape):
        channels, height, width = shape
        self.operator("ADD", [layer.source, layer.other], layer.name, (1, height, width, channels), "AddOptions")

    def pool(self, layer, shape):
        axes = self.constant("pool.axes", [1, 2], "int32")
        self.operator("MEAN", [layer.source, axes], layer.name, (1, shape[0]), "ReducerOptions", keepDims=False)

    def linear(self, layer, shape):
        inputs = [layer.source, self.constant("logits.weight", layer.weight), self.constant("logits.bias", layer.bias)]
        self.operator("FULLY_CONNECTED", inputs, layer.name, (1, layer.shape[0]), "FullyConnectedOptions")

    def operator(self, code, inputs, output, shape, options, **fields):
        number = getattr(self.schema.BuiltinOperator, code)
        if number not in self.codes:
            self.codes.append(number)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self.codes.index(number)
        operator.inputs, operator.outputs = [self.numbers[name] for name in inputs], [self.tensor(output, shape)]
        operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(self.schema, options + "T")(**fields)
        self.graph.operators.append(operator)

    def constant(self, name, values, kind="float32"):
        import numpy

        array = numpy.ascontiguousarray(values, dtype=kind)
        buffer = self.schema.BufferT()
        buffer.data = numpy.frombuffer(array.tobytes(), numpy.uint8)
        self.buffers.append(buffer)
        self.tensor(name, array.shape, len(self.buffers) - 1, {"float32": 0, "int32": 2}[kind])
        return name

    def tensor(self, name, shape, buffer=0, kind=0):
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, buffer
        self.graph.tensors.append(tensor)
        self.numbers[name] = len(self.graph.tensors) - 1
        return self.numbers[name]


def load(row, folder, threads):
    import numpy
    from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, GpuOptions, HardwareAccelerator, Options

    if row in GPU_ROWS:
        options = Options(HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=True))
    else:
        options = Options(HardwareAccelerator.CPU, cpu_options=CpuOptions(num_threads=threads))
    model = CompiledModel.from_file(str(folder / "net.tflite"), options=options)
    if not model.is_fully_accelerated():
        raise SystemExit("LiteRT leaves part of the network to another processor")
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    classes = outputs[0].get_tensor_details()["shape"][-1]

    def infer(image):
        inputs[0].write(image)
        model.run_by_index(0, inputs, outputs)
        return outputs[0].read(classes, numpy.float32)

    return infer
