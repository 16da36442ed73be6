"""The cases: which network, in which scheme, at which size."""

from dataclasses import dataclass, field

import oracles as o
import schemes as s

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

# variance gained by a kernel of each kind, chosen so that 14 to 53 layers neither die nor saturate
GAINS = {
    "v1": {"stem": 14.0, "depthwise": 3.0, "pointwise": 3.0, "last": 3.0, "logits": 1.0},
    "v2": {"stem": 14.0, "expand": 2.5, "depthwise": 2.6, "project": 0.6, "last": 4.0, "logits": 1.0},
    "v1_relu": {"stem": 14.0, "depthwise": 2.4, "pointwise": 2.4, "last": 2.4, "logits": 1.0},
    "v2_relu": {"stem": 10.0, "expand": 2.0, "depthwise": 1.8, "project": 0.6, "last": 2.0, "logits": 1.0},
}


@dataclass
class Case:
    name: str
    about: str
    scheme: str
    net: object  # () -> oracles.Net
    spec: dict  # leaves and layouts (schemes.py)
    input: tuple  # (batch, height, width)
    version: int = 2
    width: float = 1.0
    names: object = None  # source, conv, bn -> names; None keeps the oracle's own
    padding: str = "symmetric"
    eps: float = 1e-5
    activation: str = "relu6"
    strides: list | None = None
    folded: bool = False
    dtype: str = "F32"
    prefix: str = ""
    suffix: str = ""
    zero_variance: bool = False
    background: bool = False
    metadata: dict | None = None
    config: bool = False  # a config.json lies beside the checkpoint
    extras: list = field(default_factory=list)  # [name, dtype, shape] of tensors that no network needs
    counts: bool = False  # num_batches_tracked beside every norm


TF = {"padding": "same", "eps": 1e-3}
V2_32 = [1, 1, 1, 2, 2, 1, 2, 1]
V1_32 = [1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1]
CAFFE_V2_STRIDES = [2, 1, 2, 2, 1, 2, 2, 1]
PETS = ["cat", "dog", "goldfish, Carassius auratus", "newt"]


def renamed(names):
    return lambda source, _conv, _bn: names(source)


def cases():
    yield from torchvision()
    yield from timm()
    yield from transformers()
    yield from keras()
    yield from slim()
    yield from gluon()
    yield from caffe()


def torchvision():
    tv = dict(scheme="torchvision", spec=s.TORCH)
    yield Case("torchvision_v2_100", "as torchvision saves it", net=lambda: o.torchvision_v2(), input=(1, 96, 96), counts=True, **tv)
    yield Case("torchvision_v2_035", "odd picture, three of them", net=lambda: o.torchvision_v2(0.35, 10), input=(3, 97, 131),
               width=0.35, counts=True, **tv)
    yield Case("torchvision_v2_140", "wide, a wide last layer", net=lambda: o.torchvision_v2(1.4, 100), input=(1, 128, 128),
               width=1.4, counts=True, **tv)
    yield Case("torchvision_v2_060_folded", "batch norm folded, no norm tensors; every name under `module.`",
               net=lambda: o.torchvision_v2(0.6, 10), input=(1, 160, 224), width=0.6, folded=True, prefix="module.", **tv)
    yield Case("torchvision_v2_050_f16", "f16 weights", net=lambda: o.torchvision_v2(0.5, 10), input=(2, 96, 96), width=0.5,
               dtype="F16", prefix="model.", **tv)
    yield Case("torchvision_v2_050_32x32", "strides for 32 x 32 pictures, in the metadata",
               net=lambda: o.torchvision_v2(0.5, 10, strides=V2_32), input=(2, 32, 32), width=0.5, strides=V2_32, counts=True,
               metadata={"architecture": "mobilenet_v2", "width": "0.5", "strides": ",".join(map(str, V2_32)), "input_size": "32"}, **tv)
    yield Case("torchvision_v2_035_relu", "ReLU by the metadata", net=lambda: o.torchvision_v2(0.35, 10, activation="relu"),
               input=(1, 96, 96), width=0.35, activation="relu", metadata={"activation": "relu"}, **tv)
    yield Case("torchvision_v2_035_same", "TensorFlow's conventions by the metadata, in prose and in numbers",
               net=lambda: o.transformers_v2(0.35, 10), names=torchvision_names(0.35), input=(1, 97, 131), width=0.35,
               metadata={"padding": "TF SAME (pads right and bottom)", "bn_eps": "0.001", "note": "prose"}, **tv, **TF)
    yield Case("torchvision_v2_050_backbone", "no classifier", net=lambda: o.torchvision_v2(0.5, 10, head=False), input=(1, 97, 131),
               width=0.5, prefix="backbone.", counts=True, **tv)


def torchvision_names(width):
    """torchvision's names for another oracle's layers."""
    net = o.torchvision_v2(width, 10)
    table = {source: (net.names[id(c)], net.names.get(id(b))) for source, (c, b) in net.layers.items()}
    return lambda source, _conv, _bn: table[source]


def timm():
    ti = dict(scheme="timm", spec=s.TORCH)
    v1 = dict(version=1, **ti)
    yield Case("timm_mobilenetv1_100", "with its config.json", net=lambda: o.timm_net("mobilenetv1_100"), input=(1, 96, 96),
               config=True, counts=True, **v1)
    yield Case("timm_mobilenetv1_100h", "a 1x1 convolution before the pool", net=lambda: o.timm_net("mobilenetv1_100h", 10),
               input=(1, 97, 131), **v1)
    yield Case("timm_mobilenetv1_125", "wider than the paper", net=lambda: o.timm_net("mobilenetv1_125", 10), input=(1, 96, 96),
               width=1.25, dtype="BF16", config=True, **v1)
    yield Case("timm_mobilenetv1_100_32x32", "strides for 32 x 32 pictures, as a JSON array",
               net=lambda: o.timm_net("mobilenetv1_100", 10, strides=V1_32), input=(1, 32, 32), strides=V1_32,
               metadata={"strides": str(V1_32)}, **v1)
    yield Case("timm_mobilenetv2_035", "small", net=lambda: o.timm_net("mobilenetv2_035", 10), input=(2, 128, 128), width=0.35, **ti)
    yield Case("timm_mobilenetv2_050_folded", "batch norm folded", net=lambda: o.timm_net("mobilenetv2_050", 10), input=(1, 97, 131),
               width=0.5, folded=True, **ti)
    yield Case("timm_mobilenetv2_100_bf16", "bf16 weights", net=lambda: o.timm_net("mobilenetv2_100", 100), input=(1, 160, 224),
               dtype="BF16", counts=True, **ti)
    yield Case("timm_mobilenetv2_110d", "deeper; stem and last layer not scaled", net=lambda: o.timm_net("mobilenetv2_110d", 10),
               input=(1, 96, 96), width=1.1, config=True, **ti)
    yield Case("timm_mobilenetv2_120d", "deeper still", net=lambda: o.timm_net("mobilenetv2_120d", 10), input=(1, 97, 131),
               width=1.2, dtype="F16", **ti)
    yield Case("timm_mobilenetv2_140_backbone", "no classifier", net=lambda: o.timm_net("mobilenetv2_140", head=False),
               input=(1, 96, 96), width=1.4, **ti)


def transformers():
    tr = dict(scheme="transformers", spec=s.TORCH)
    v1 = dict(version=1, **tr)
    yield Case("transformers_v1_100", "as on the hub: 1001 classes", net=lambda: o.transformers_v1(), input=(1, 96, 96), counts=True,
               background=True, config=True, **v1, **TF)
    yield Case("transformers_v1_060", "odd channel counts, odd picture", net=lambda: o.transformers_v1(0.6, 10), input=(2, 97, 131),
               width=0.6, **v1, **TF)
    yield Case("transformers_v1_025_config", "config.json says symmetric padding, another epsilon, ReLU, and labels",
               net=lambda: o.transformers_v1(0.25, 4, "symmetric", 1e-5, "relu", labels=PETS), input=(1, 128, 128), width=0.25,
               activation="relu", config=True, **v1)
    yield Case("transformers_v2_100", "as on the hub: 1001 classes", net=lambda: o.transformers_v2(), input=(1, 97, 131), counts=True,
               background=True, config=True, **tr, **TF)
    yield Case("transformers_v2_035", "last layer kept at 1280", net=lambda: o.transformers_v2(0.35, 10), input=(2, 160, 224),
               width=0.35, dtype="F16", **tr, **TF)
    yield Case("transformers_v2_050_coarse", "last layer scaled too", net=lambda: o.transformers_v2(0.5, 10, finegrained=False),
               input=(1, 96, 96), width=0.5, config=True, **tr, **TF)
    yield Case("transformers_v2_140", "wide", net=lambda: o.transformers_v2(1.4, 10), input=(1, 96, 96), width=1.4, **tr, **TF)


def keras():
    ke = dict(scheme="keras", **TF)
    v1 = dict(version=1, **ke)
    yield Case("keras_v1_025", "Keras 2; variances of exactly 0", net=lambda: o.keras_net(1, 0.25, 10, 128, 128), input=(1, 128, 128),
               width=0.25, spec=s.keras(1, 2), zero_variance=True, **v1)
    yield Case("keras_v1_060", "Keras 3 (`kernel` for depthwise); odd channel counts", net=lambda: o.keras_net(1, 0.6, 10, 160, 224),
               input=(2, 160, 224), width=0.6, spec=s.keras(1, 3), prefix="mobilenet_0.60_224/", **v1)
    yield Case("keras_v1_050_odd", "Keras pads V1's strided depthwise by (0, 1) also where SAME is (1, 1): an odd picture shows it",
               net=lambda: o.keras_net(1, 0.5, 10, 97, 131), input=(1, 97, 131), width=0.5, spec=s.keras(1, 3), **v1)
    yield Case("keras_v2_100", "Keras 2's names with `:0` and the model's name in front; a dense layer called Logits",
               net=lambda: o.keras_net(2, 1.0, 1000, 96, 96), names=s.keras_logits_layer, input=(1, 96, 96), spec=s.keras(2, 2),
               prefix="mobilenetv2_1.00_224/", suffix=":0", **ke)
    yield Case("keras_v2_035", "Keras 3; odd picture", net=lambda: o.keras_net(2, 0.35, 10, 97, 131), input=(1, 97, 131), width=0.35,
               spec=s.keras(2, 3), **ke)
    yield Case("keras_v2_140_backbone", "include_top=False", net=lambda: o.keras_net(2, 1.4, 10, 96, 96, head=False),
               input=(1, 96, 96), width=1.4, spec=s.keras(2, 2), **ke)


def slim():
    sl = dict(scheme="tf_slim", **TF)
    step = [["global_step", "I64", []]]
    yield Case("tf_slim_v1_050_folded", "out of a .tflite file: folded, OHWI, depthwise 1HWC",
               net=lambda: o.transformers_v1(0.5, 1001), names=renamed(s.slim_v1), input=(1, 97, 131), width=0.5, version=1,
               spec=s.SLIM_LITE, folded=True, background=True, **sl)
    yield Case("tf_slim_v1_060", "out of a checkpoint: HWIO, batch norm, a global_step", net=lambda: o.transformers_v1(0.6, 10),
               names=renamed(s.slim_v1), input=(1, 160, 224), width=0.6, version=1, spec=s.SLIM, extras=step, **sl)
    yield Case("tf_slim_v2_100", "1001 classes", net=lambda: o.transformers_v2(1.0, 1001), names=renamed(s.slim_v2), input=(1, 96, 96),
               spec=s.SLIM, background=True, extras=step, **sl)
    yield Case("tf_slim_v2_035", "odd picture", net=lambda: o.transformers_v2(0.35, 10), names=renamed(s.slim_v2), input=(1, 97, 131),
               width=0.35, spec=s.SLIM, suffix=":0", **sl)


def gluon():
    gl = dict(scheme="gluoncv")
    yield Case("gluoncv_v1_050", "V1 has ReLU there", net=lambda: o.transformers_v1(0.5, 10, "symmetric", 1e-5, "relu"),
               names=renamed(s.gluon_v1), input=(1, 97, 131), width=0.5, version=1, activation="relu", spec=s.GLUON_V1, **gl)
    yield Case("gluoncv_v2_060", "channels cut off, not rounded; t=1 expansion; a convolution without bias as classifier",
               net=lambda: o.torchvision_v2(0.6, 10, truncate=True, expanded=True), names=renamed(s.gluon_v2), input=(1, 96, 96),
               width=0.6, spec=s.GLUON_V2, **gl)
    yield Case("gluoncv_v2_050_backbone", "no classifier", net=lambda: o.torchvision_v2(0.5, 10, head=False, truncate=True, expanded=True),
               names=renamed(s.gluon_v2), input=(1, 97, 131), width=0.5, spec=s.GLUON_V2, **gl)


def caffe():
    ca = dict(scheme="caffe", activation="relu")
    yield Case("caffe_v1_050", "BatchNorm and Scale layers; ReLU", net=lambda: o.transformers_v1(0.5, 10, "symmetric", 1e-5, "relu"),
               names=renamed(s.caffe_v1), input=(1, 97, 131), width=0.5, version=1, spec=s.caffe(), prefix="models.", **ca)
    yield Case("caffe_v1_025_folded", "BatchNorm and Scale merged into the convolutions",
               net=lambda: o.transformers_v1(0.25, 10, "symmetric", 1e-5, "relu"), names=renamed(s.caffe_v1), input=(1, 96, 96),
               width=0.25, version=1, spec=s.caffe(), folded=True, **ca)
    yield Case("caffe_v2_100", "t=1 expansion; ReLU; strides 2 at conv4_7 and not at conv4_3",
               net=lambda: o.torchvision_v2(1.0, 10, activation="relu", strides=CAFFE_V2_STRIDES, expanded=True),
               names=renamed(s.caffe_v2), input=(1, 96, 96), strides=CAFFE_V2_STRIDES, spec=s.caffe("/"), **ca)
