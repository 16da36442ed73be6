"""Networks as independent frameworks build them, with handles on their convolutions and norms.

Each builder gives a `Net`: `layers` maps a source name (README.md) to (convolution, batch norm or None), and
`forward` runs an f32 picture in f64 and gives `stem`, `block7`, `features`, `pooled` and `logits`.
"""

import os
from dataclasses import dataclass, field

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from torch import nn


@dataclass
class Net:
    oracle: str
    layers: dict
    forward: object
    names: dict = field(default_factory=dict)  # id(module or layer) -> its own name in its framework
    config: dict | None = None
    framework: str = "torch"
    model: object = None


def torch_net(oracle, model, layers, watch, pooled_from="features", config=None):
    """A Net over a torch model; `watch` names the modules whose outputs are kept."""
    model = model.double().eval()
    kept = {}
    for name, module in watch.items():
        module.register_forward_hook(lambda _m, _i, out, name=name: kept.__setitem__(name, out.clone()))

    def forward(x, dtype=torch.float64):
        kept.clear()
        with torch.no_grad():
            out = model.to(dtype)(torch.from_numpy(x).to(dtype))
        out = getattr(out, "logits", out)
        result = dict(kept)
        result["pooled"] = result[pooled_from].mean(dim=(2, 3))
        if "logits" in layers:
            result["logits"] = out
        return {k: v.numpy() for k, v in result.items()}

    names = {id(m): n for n, m in model.named_modules()}
    return Net(oracle, layers, forward, names, config, "torch", model)


def remove_batch_norm(net):
    """Folded checkpoints: every convolution has a bias of its own, and no batch norm follows."""
    owners = {id(child): (parent, name) for parent in net.model.modules() for name, child in parent.named_children()}
    for source, (conv, bn) in net.layers.items():
        if bn is None:
            continue
        parent, name = owners[id(bn)]
        # timm's norm holds the activation that follows it, and may be one that is watched
        after = getattr(bn, "act", nn.Identity())
        after._forward_hooks.update(bn._forward_hooks)
        setattr(parent, name, after)
        conv.bias = nn.Parameter(torch.zeros(conv.out_channels, dtype=torch.float64))
        net.layers[source] = (conv, None)


# ---- torchvision

def torchvision_layers(model, head=True):
    f = model.features
    layers = {"stem": (f[0][0], f[0][1])}
    for i in range(1, len(f) - 1):
        conv = f[i].conv
        parts = ["depthwise", "project"] if len(conv) == 3 else ["expand", "depthwise", "project"]
        for part, child in zip(parts[:-1], conv):
            layers[f"block{i}.{part}"] = (child[0], child[1])
        layers[f"block{i}.project"] = (conv[len(conv) - 2], conv[len(conv) - 1])
    layers["last"] = (f[-1][0], f[-1][1])
    if head:
        layers["logits"] = (model.classifier[1], None)
    return layers


class AlwaysExpanded(nn.Module):
    """An inverted residual that keeps its expansion at t = 1, as GluonCV's and Caffe's first block does."""

    def __init__(self, inp, oup, stride, expand_ratio, norm_layer=None):
        super().__init__()
        from torchvision.ops.misc import Conv2dNormActivation as C

        hidden = inp * expand_ratio
        self.residual = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            C(inp, hidden, kernel_size=1, norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU6),
            C(hidden, hidden, stride=stride, groups=hidden, norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU6),
            nn.Conv2d(hidden, oup, 1, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


def relu_for_relu6(model):
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(parent, name, nn.ReLU())


V2_STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def torchvision_v2(width=1.0, classes=1000, head=True, activation="relu6", strides=None, expanded=False, truncate=False):
    """`truncate`: channels as int(c * width), GluonCV's way, instead of multiples of 8."""
    import torchvision
    from torchvision.ops.misc import Conv2dNormActivation

    kwargs = {"width_mult": width, "num_classes": classes}
    stages = V2_STAGES
    if strides:
        stages = [(t, c, n, s) for (t, c, n, _), s in zip(stages, strides[1:])]
        kwargs["inverted_residual_setting"] = [list(s) for s in stages]
    if truncate:
        stages = [(t, int(c * width), n, s) for t, c, n, s in stages]
        kwargs.update(width_mult=1.0, round_nearest=1, inverted_residual_setting=[list(s) for s in stages])
    if expanded:
        kwargs["block"] = AlwaysExpanded
    model = torchvision.models.mobilenet_v2(weights=None, **kwargs)
    if truncate:
        stem = int(32 * width)
        model.features[0] = Conv2dNormActivation(3, stem, stride=2, norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU6)
        model.features[1] = AlwaysExpanded(stem, stages[0][1], 1, 1)
    if strides:
        model.features[0][0].stride = (strides[0], strides[0])
    if activation == "relu":
        relu_for_relu6(model)
    f = model.features
    watch = {"stem": f[0], "block7": f[7], "features": f[-1]}
    return torch_net(f"torchvision {torchvision.__version__}", model, torchvision_layers(model, head), watch)


# ---- timm

def timm_net(name, classes=1000, head=True, strides=None):
    import timm

    model = timm.create_model(name, pretrained=False, num_classes=classes if head else 0)
    blocks = [b for stage in model.blocks for b in stage]
    layers = {"stem": (model.conv_stem, model.bn1)}
    v1 = name.startswith("mobilenetv1")
    for i, b in enumerate(blocks, 1):
        if hasattr(b, "conv_pwl"):
            layers[f"block{i}.expand"] = (b.conv_pw, b.bn1)
            layers[f"block{i}.depthwise"] = (b.conv_dw, b.bn2)
            layers[f"block{i}.project"] = (b.conv_pwl, b.bn3)
        else:
            layers[f"block{i}.depthwise"] = (b.conv_dw, b.bn1)
            layers[f"block{i}.{'pointwise' if v1 else 'project'}"] = (b.conv_pw, b.bn2)
    if isinstance(model.conv_head, nn.Conv2d):
        layers["last"] = (model.conv_head, model.bn2)
        features = model.bn2
    else:
        features = blocks[-1]
    if head:
        layers["logits"] = (model.classifier, None)
    if strides:
        model.conv_stem.stride = (strides[0], strides[0])
        for b, s in zip(blocks, strides[1:]):
            b.conv_dw.stride = (s, s)
    cfg = model.pretrained_cfg
    config = {"architecture": name, "num_classes": classes if head else 0, "num_features": model.num_features}
    keys = ("tag", "input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std", "num_classes", "first_conv", "classifier")
    config["pretrained_cfg"] = {k: cfg[k] for k in keys if k in cfg}
    watch = {"stem": model.bn1, "block7": blocks[6], "features": features}
    return torch_net(f"timm {timm.__version__}", model, layers, watch, config=config)


# ---- transformers

def transformers_v1(width=1.0, classes=1001, padding="same", eps=1e-3, activation="relu6", strides=None, labels=None, min_depth=8):
    import transformers as t

    config = t.MobileNetV1Config(
        num_labels=classes, depth_multiplier=width, tf_padding=padding == "same", layer_norm_eps=eps,
        hidden_act=activation, min_depth=min_depth, **labels_of(labels),
    )
    model = t.MobileNetV1ForImageClassification(config)
    body = model.mobilenet_v1
    pair = lambda m: (m.convolution, m.normalization)
    layers = {"stem": pair(body.conv_stem)}
    for i in range(13):
        layers[f"block{i + 1}.depthwise"] = pair(body.layer[2 * i])
        layers[f"block{i + 1}.pointwise"] = pair(body.layer[2 * i + 1])
    layers["logits"] = (model.classifier, None)
    if strides:
        body.conv_stem.convolution.stride = (strides[0], strides[0])
        for i, s in enumerate(strides[1:]):
            body.layer[2 * i].convolution.stride = (s, s)
    watch = {"stem": body.conv_stem, "block7": body.layer[13], "features": body.layer[25]}
    return torch_net(f"transformers {t.__version__}", model, layers, watch, config=hub_config(config, model, labels))


def transformers_v2(width=1.0, classes=1001, padding="same", eps=1e-3, activation="relu6", finegrained=True, labels=None, expanded=False):
    import transformers as t

    config = t.MobileNetV2Config(
        num_labels=classes, depth_multiplier=width, tf_padding=padding == "same", layer_norm_eps=eps,
        hidden_act=activation, finegrained_output=finegrained, first_layer_is_expansion=not expanded, **labels_of(labels),
    )
    model = t.MobileNetV2ForImageClassification(config)
    body = model.mobilenet_v2
    pair = lambda m: (m.convolution, m.normalization)
    stem = body.conv_stem
    layers = {"stem": pair(stem.first_conv)}
    if stem.expand_1x1 is not None:
        layers["block1.expand"] = pair(stem.expand_1x1)
    layers["block1.depthwise"] = pair(stem.conv_3x3)
    layers["block1.project"] = pair(stem.reduce_1x1)
    for i, b in enumerate(body.layer, 2):
        layers[f"block{i}.expand"] = pair(b.expand_1x1)
        layers[f"block{i}.depthwise"] = pair(b.conv_3x3)
        layers[f"block{i}.project"] = pair(b.reduce_1x1)
    layers["last"] = pair(body.conv_1x1)
    layers["logits"] = (model.classifier, None)
    watch = {"stem": stem.first_conv, "block7": body.layer[5], "features": body.conv_1x1}
    return torch_net(f"transformers {t.__version__}", model, layers, watch, config=hub_config(config, model, labels))


def labels_of(labels):
    return {} if labels is None else {"id2label": dict(enumerate(labels)), "label2id": {l: i for i, l in enumerate(labels)}}


def hub_config(config, model, labels):
    """config.json as the hub has it; labels that say nothing are left out to keep the file small."""
    import json

    d = json.loads(config.to_json_string(use_diff=False))
    if labels is None:
        d.pop("id2label"), d.pop("label2id")
    d["architectures"] = [type(model).__name__]
    keep = ("architectures", "model_type", "num_channels", "image_size", "depth_multiplier", "depth_divisible_by", "min_depth",
            "expand_ratio", "output_stride", "first_layer_is_expansion", "finegrained_output", "hidden_act", "tf_padding",
            "layer_norm_eps", "id2label", "label2id")
    return {k: d[k] for k in keep if k in d}


# ---- Keras (its own code, on its torch backend)

def keras_net(version, width, classes, height, width_px, head=True):
    import keras

    keras.config.set_floatx("float64")
    build = keras.applications.MobileNet if version == 1 else keras.applications.MobileNetV2
    model = build(alpha=width, input_shape=(height, width_px, 3), weights=None, include_top=head, classes=classes,
                  **({"classifier_activation": None} if head else {}))
    get = model.get_layer
    layers = {}
    if version == 1:
        layers["stem"] = (get("conv1"), get("conv1_bn"))
        for i in range(1, 14):
            layers[f"block{i}.depthwise"] = (get(f"conv_dw_{i}"), get(f"conv_dw_{i}_bn"))
            layers[f"block{i}.pointwise"] = (get(f"conv_pw_{i}"), get(f"conv_pw_{i}_bn"))
        watch = {"stem": "conv1_relu", "block7": "conv_pw_7_relu", "features": "conv_pw_13_relu"}
        logits = "conv_preds"
    else:
        layers["stem"] = (get("Conv1"), get("bn_Conv1"))
        for i in range(1, 18):
            prefix = "expanded_conv_" if i == 1 else f"block_{i - 1}_"
            for part in ("expand", "depthwise", "project")[i == 1:]:
                layers[f"block{i}.{part}"] = (get(prefix + part), get(f"{prefix}{part}_BN"))
        layers["last"] = (get("Conv_1"), get("Conv_1_bn"))
        watch = {"stem": "Conv1_relu", "block7": "block_6_project_BN", "features": "out_relu"}
        logits = "predictions"
    if head:
        layers["logits"] = (get(logits), None)
        watch["logits"] = logits
    taps = keras.Model(model.input, [get(n).output for n in watch.values()])

    def forward(x, _dtype=None):
        with torch.no_grad():
            outs = taps(np.ascontiguousarray(x.astype(np.float64).transpose(0, 2, 3, 1)), training=False)
        result = {}
        for name, out in zip(watch, outs):
            out = out.detach().cpu().numpy()
            result[name] = out.reshape(len(out), -1) if name == "logits" else out.transpose(0, 3, 1, 2)
        result["pooled"] = result["features"].mean(axis=(2, 3))
        return result

    names = {id(l): l.name for l in model.layers}
    return Net(f"keras {keras.__version__} on torch", layers, forward, names, None, "keras", model)
