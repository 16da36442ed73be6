"""Makes the goldens: `python tests/goldens/make.py [NAME...]` (README.md). Not part of CI."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

import rule
from cases import GAINS, cases
from oracles import remove_batch_norm

HERE = Path(__file__).parent
NORM = ("gamma", "beta", "mean", "variance")


def shape_of(net, conv):
    """(kind, out, in a group, kernel height, kernel width) of an oracle's layer."""
    if net.framework == "keras":
        k = tuple(conv.kernel.shape)
        if type(conv).__name__ == "DepthwiseConv2D":
            return "depthwise", k[2], 1, k[0], k[1]
        if len(k) == 2:
            return "linear", k[1], k[0], 1, 1
        return ("linear" if conv.name == "conv_preds" else "conv"), k[3], k[2], k[0], k[1]
    w = tuple(conv.weight.shape)
    if len(w) == 2:
        return "linear", *w, 1, 1
    return ("depthwise" if w[1] == 1 and conv.groups > 1 else "conv"), *w


def gain_kind(source):
    return source.rpartition(".")[2]


def layer_tensors(case, source, shape, gains, has_norm, has_bias):
    """The layer's tensors in source layout, f32, as a reader of the file sees them."""
    _, out, inp, kh, kw = shape
    scale = rule.kernel_scale(gains[gain_kind(source)], inp * kh * kw)
    tensors = {"weight": rule.tensor(source, "weight", (out, inp, kh, kw), scale=scale)}
    if has_norm:
        for role in NORM:
            tensors[role] = rule.tensor(source, role, (out,), zero_variance=case.zero_variance)
    elif has_bias:
        tensors["bias"] = rule.tensor(source, "bias", (out,))
    return {role: rule.stored(v, case.dtype) for role, v in tensors.items()}


def assign(net, layer, tensors):
    conv, bn = layer
    if net.framework == "keras":
        kernel = tensors["weight"].transpose(2, 3, 0, 1) if type(conv).__name__ == "DepthwiseConv2D" else tensors["weight"].transpose(2, 3, 1, 0)
        conv.kernel.assign(kernel.reshape(conv.kernel.shape))
        if conv.use_bias:
            conv.bias.assign(tensors["bias"])
        for role, name in zip(NORM, ("gamma", "beta", "moving_mean", "moving_variance")):
            if bn is not None:
                getattr(bn, name).assign(tensors[role])
        return
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(tensors["weight"]).reshape(conv.weight.shape))
        if conv.bias is not None:
            conv.bias.copy_(torch.from_numpy(tensors.get("bias", np.zeros(conv.bias.shape, np.float32))))
        if bn is not None:
            for role, target in zip(NORM, (bn.weight, bn.bias, bn.running_mean, bn.running_var)):
                target.copy_(torch.from_numpy(tensors[role]))


def file_layout(v, layout):
    """Source order OIHW to the file's; an axis that the layout does not name has length 1."""
    axes = ["OIHW".index(a) for a in layout]
    return v.transpose(axes + [a for a in range(4) if a not in axes]).reshape([v.shape[a] for a in axes])


def build(case):
    """The case as JSON, the checkpoint's tensors by name in the file, and the oracle with its weights."""
    net = case.net()
    if case.folded:
        remove_batch_norm(net)
    gains = GAINS[f"v{case.version}{'_relu' if case.activation == 'relu' else ''}"]
    leaves, layouts = dict(case.spec["leaves"]), case.spec["layouts"]
    if not case.counts:
        leaves.pop("count", None)
    units, file = [], {}
    for source, (conv, bn) in net.layers.items():
        shape = shape_of(net, conv)
        names = (net.names[id(conv)], net.names.get(id(bn)))
        if case.names:
            names = case.names(source, *names)
        conv_name, bn_name = names[0], names[1] if bn is not None else None
        tensors = layer_tensors(case, source, shape, gains, bn is not None, "bias" in leaves)
        assign(net, (conv, bn), tensors)
        units.append([source, *shape, conv_name, bn_name])
        for role, v in tensors.items():
            owner = bn_name if role in NORM else conv_name
            leaf = leaves.get("depthwise", leaves["weight"]) if (role, shape[0]) == ("weight", "depthwise") else leaves[role]
            v = file_layout(v, layouts[shape[0]]) if role == "weight" else v
            file[case.prefix + owner + leaf + case.suffix] = v
        if bn is not None and "count" in leaves:
            file[case.prefix + bn_name + leaves["count"] + case.suffix] = np.array(0, np.int64)
    used = {gain_kind(u[0]) for u in units}
    batch, height, width = case.input
    described = {
        "name": case.name, "about": case.about, "scheme": case.scheme, "oracle": net.oracle.replace("+cu132", ""),
        "architecture": f"mobilenet_v{case.version}", "width": case.width,
        "classes": next((u[2] for u in units if u[0] == "logits"), None), "background": case.background,
        "padding": case.padding, "bn_eps": case.eps, "activation": case.activation, "folded": case.folded,
        "strides": case.strides, "batch": batch, "height": height, "width_px": width,
        "metadata": case.metadata, "config": net.config if case.config else None,
        "dtype": case.dtype, "prefix": case.prefix, "suffix": case.suffix, "leaves": leaves, "layouts": layouts,
        "gains": {k: v for k, v in gains.items() if k in used}, "zero_variance": case.zero_variance,
        "extras": case.extras, "units": units, "probes": probes(file),
    }
    return described, file, net


def probes(file, count=12):
    """[name, flat index in the file, value] of a few weights spread over the checkpoint."""
    names = [n for n, v in sorted(file.items()) if v.dtype == np.float32]
    picked = names[:: max(1, len(names) // count)]
    found = []
    for k, name in enumerate(picked):
        flat = file[name].reshape(-1)
        index = (k * 7919 + flat.size - 1) % flat.size
        found.append([name, index, float(flat[index])])
    return found


def check_native(case, net, file):
    """Where the oracle's own names are kept, the file holds its whole state and nothing else."""
    if case.names or net.framework == "keras" or case.folded:
        return
    own = set(net.model.state_dict())
    if not case.counts:
        own = {n for n in own if not n.endswith("num_batches_tracked")}
    if not any(u.startswith("logits") for u in net.layers):
        own = {n for n in own if not n.startswith("classifier")}
    ours = {n.removeprefix(case.prefix) for n in file}
    assert own == ours, (case.name, own ^ ours)


def outputs(case, net):
    x = rule.picture(*case.input)
    full = net.forward(x)
    kept = {}
    for name in ("stem", "block7", "features"):
        kept[name] = rule.sample(full[name]).astype(np.float32)
    kept["pooled"] = full["pooled"].astype(np.float32)
    if "logits" in full:
        kept["logits"] = full["logits"].astype(np.float32)
    kept["input"] = rule.sample(x, 64)
    assert all(np.isfinite(v).all() for v in kept.values())
    shapes = {name: list(full[name].shape) for name in ("stem", "block7", "features")}
    return kept, shapes, full


def dump(described):
    """One line a key, one line a unit."""
    lines = []
    for key, value in described.items():
        if value is None or value == [] or value is False or value == "":
            continue
        compact = lambda v: json.dumps(v, separators=(",", ":"), ensure_ascii=False)
        if key in ("units", "probes"):
            body = ",\n".join(" " + compact(u) for u in value)
            lines.append(f'"{key}":[\n{body}\n]')
        else:
            lines.append(f'"{key}":{compact(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def report(case, net, full):
    f = full["features"]
    line = f"{case.name:32} features {f.shape} >0 {np.mean(f > 0):.2f} >=6 {np.mean(f >= 6):.3f}"
    b = full["block7"]
    line += f"  block7 std {b.std():.2f}  stem >=6 {np.mean(full['stem'] >= 6):.3f}"
    if "logits" in full:
        z = full["logits"]
        line += f"  logits std {z.std():.2f} max {np.abs(z).max():.1f}"
        if len(z) > 1:
            line += f"  pictures differ {np.linalg.norm(z[0] - z[1]) / np.linalg.norm(z[0]):.3f}"
    if net.framework == "torch":  # how far the framework's own f32 is from its f64
        single = net.forward(rule.picture(*case.input), torch.float32)
        worst = max(np.linalg.norm(single[k] - full[k]) / np.linalg.norm(full[k]) for k in full)
        line += f"  f32 off by {worst:.0e}"
    print(line, flush=True)


def main():
    torch.set_num_threads(1)
    wanted = set(sys.argv[1:])
    (HERE / "cases").mkdir(exist_ok=True)
    (HERE / "outputs").mkdir(exist_ok=True)
    for case in cases():
        if wanted and case.name not in wanted:
            continue
        described, file, net = build(case)
        check_native(case, net, file)
        kept, shapes, full = outputs(case, net)
        described["shapes"] = shapes
        (HERE / "cases" / f"{case.name}.json").write_text(dump(described), encoding="utf-8")
        (HERE / "outputs" / f"{case.name}.safetensors").write_bytes(save(kept))
        report(case, net, full)


if __name__ == "__main__":
    main()
