"""How each framework's checkpoint names and lays out its tensors.

A scheme is `leaves` (role -> what follows a layer's name), `layouts` (kind -> order of the kernel's axes in the
file) and, where the oracle is another framework, a function from a source name to the names of convolution and norm.
Sources of the names: README.md.
"""

TORCH_LEAVES = {"weight": ".weight", "bias": ".bias", "gamma": ".weight", "beta": ".bias", "mean": ".running_mean",
                "variance": ".running_var", "count": ".num_batches_tracked"}
TORCH = {"leaves": TORCH_LEAVES, "layouts": {"conv": "OIHW", "depthwise": "OIHW", "linear": "OI"}}

TF_NORM = {"gamma": "/gamma", "beta": "/beta", "mean": "/moving_mean", "variance": "/moving_variance"}


def keras(version, generation):
    depthwise = "/depthwise_kernel" if generation == 2 else "/kernel"
    return {
        "leaves": {"weight": "/kernel", "depthwise": depthwise, "bias": "/bias", **TF_NORM},
        "layouts": {"conv": "HWIO", "depthwise": "HWOI", "linear": "HWIO" if version == 1 else "IO"},
    }


def keras_logits_layer(source, conv, bn):
    """keras-applications called V2's last layer `Logits`; Keras 2.3 and later say `predictions`."""
    return ("Logits", None) if source == "logits" else (conv, bn)


def parts(source):
    block, _, part = source.partition(".")
    return (int(block[5:]), part) if part else (0, block)


def slim_v1(source):
    i, part = parts(source)
    if part == "logits":
        return "MobilenetV1/Logits/Conv2d_1c_1x1", None
    name = "MobilenetV1/Conv2d_0" if part == "stem" else f"MobilenetV1/Conv2d_{i}_{part}"
    return name, name + "/BatchNorm"


def slim_v2(source):
    i, part = parts(source)
    if part == "logits":
        return "MobilenetV2/Logits/Conv2d_1c_1x1", None
    if part in ("stem", "last"):
        name = "MobilenetV2/Conv" if part == "stem" else "MobilenetV2/Conv_1"
    else:
        name = f"MobilenetV2/expanded_conv{'' if i == 1 else f'_{i - 1}'}/{part}"
    return name, name + "/BatchNorm"


SLIM = {
    "leaves": {"weight": "/weights", "depthwise": "/depthwise_weights", "bias": "/biases", **TF_NORM},
    "layouts": {"conv": "HWIO", "depthwise": "HWOI", "linear": "HWIO"},
}
# the same networks out of a .tflite file: folded, OHWI, depthwise 1HWC
SLIM_LITE = {
    "leaves": {"weight": "/weights", "bias": "/bias"},
    "layouts": {"conv": "OHWI", "depthwise": "IHWO", "linear": "OHWI"},
}


def gluon_v1(source):
    i, part = parts(source)
    if part == "logits":
        return "mobilenet0_dense0", None
    k = 0 if part == "stem" else 2 * i - (part == "depthwise")
    return f"mobilenet0_conv{k}", f"mobilenet0_batchnorm{k}"


def gluon_v2(source):
    i, part = parts(source)
    if part == "logits":
        return "mobilenetv20_output_pred", None
    if part in ("stem", "last"):
        k = 0 if part == "stem" else 1
        return f"mobilenetv20_features_conv{k}", f"mobilenetv20_features_batchnorm{k}"
    k = ("expand", "depthwise", "project").index(part)
    block = f"mobilenetv20_features_linearbottleneck{i - 1}"
    return f"{block}_conv{k}", f"{block}_batchnorm{k}"


GLUON_LEAVES = {"weight": "_weight", "bias": "_bias", "gamma": "_gamma", "beta": "_beta", "mean": "_running_mean",
                "variance": "_running_var"}
GLUON_V1 = {"leaves": GLUON_LEAVES, "layouts": {"conv": "OIHW", "depthwise": "OIHW", "linear": "OI"}}
GLUON_V2 = {  # its classifier is a convolution without a bias
    "leaves": {k: v for k, v in GLUON_LEAVES.items() if k != "bias"},
    "layouts": {"conv": "OIHW", "depthwise": "OIHW", "linear": "OIHW"},
}

# conv2_1 … conv6: V1's thirteen blocks, as MobileNet-Caffe's prototxt numbers them
CAFFE_V1 = ["2_1", "2_2", "3_1", "3_2", "4_1", "4_2", "5_1", "5_2", "5_3", "5_4", "5_5", "5_6", "6"]
# V2's seventeen
CAFFE_V2 = ["2_1", "2_2", "3_1", "3_2", "4_1", "4_2", "4_3", "4_4", "4_5", "4_6", "4_7", "5_1", "5_2", "5_3", "6_1", "6_2", "6_3"]


def caffe_v1(source):
    i, part = parts(source)
    if part == "logits":
        return "fc7", None
    name = "conv1" if part == "stem" else f"conv{CAFFE_V1[i - 1]}/{'dw' if part == 'depthwise' else 'sep'}"
    return name, name


def caffe_v2(source):
    i, part = parts(source)
    if part == "logits":
        return "fc7", None
    if part in ("stem", "last"):
        name = "conv1" if part == "stem" else "conv6_4"
    else:
        word = {"expand": "expand", "depthwise": "dwise", "project": "linear"}[part]
        name = f"conv{CAFFE_V2[i - 1]}/{word}"
    return name, name


def caffe(separator="."):
    s = separator
    return {
        "leaves": {"weight": f"{s}weight", "bias": f"{s}bias", "gamma": f"/scale{s}weight", "beta": f"/scale{s}bias",
                   "mean": f"/bn{s}running_mean", "variance": f"/bn{s}running_var"},
        "layouts": {"conv": "OIHW", "depthwise": "OIHW", "linear": "OIHW"},
    }
