"""Layers -> an ONNX file (opset 13), for the engines that read one."""
import numpy as np


def write(layers, size, path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))

    limits = [constant("clip.low", 0.0), constant("clip.high", 6.0)]
    for layer in layers:
        parameters = []
        if layer.weight is not None:
            # The classifier is written as [I, O]: not every engine's Gemm has transB.
            weight = layer.weight.T if layer.op == "linear" else layer.weight
            parameters = [constant(layer.name + ".weight", weight), constant(layer.name + ".bias", layer.bias)]
        if layer.op in ("conv", "depthwise"):
            result = layer.name if layer.activation is None else layer.name + ".linear"
            groups = len(layer.weight) if layer.op == "depthwise" else 1
            kernel = list(layer.weight.shape[2:])
            node("Conv", [layer.source, *parameters], result, kernel_shape=kernel, strides=[layer.stride] * 2,
                 pads=list(layer.padding), group=groups, dilations=[1, 1])
            if layer.activation == "relu6":
                node("Clip", [result, *limits], layer.name)
            elif layer.activation == "relu":
                node("Relu", [result], layer.name)
        elif layer.op == "add":
            node("Add", [layer.source, layer.other], layer.name)
        elif layer.op == "pool":
            node("GlobalAveragePool", [layer.source], "pool.map")
            node("Flatten", ["pool.map"], layer.name, axis=1)
        else:
            node("Gemm", [layer.source, *parameters], layer.name)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "mobilenet", [value("input", [1, 3, *size])],
                              [value("logits", [1, layers[-1].shape[0]])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
