"""What must hold of the training, on made-up pictures, in half a minute: `pytest train`."""

import argparse
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn import functional as F

import train_cifar10
from network import StridedDepthwise, TrainingPass, build

SETTINGS = dict(width=0.25, epochs=2, minutes=None, batch=64, turn=0.025, peak=0.2, decay=3e-4)
SETTINGS.update(smoothing=0.05, cutout=8, average=0.998, seed=1, test_every=1, lock=None)


def pictures(n):
    generator = torch.Generator().manual_seed(7)
    x = torch.randint(0, 256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return x, torch.randint(0, 10, (n,), generator=generator)


def train(path, threads, stop_after=None):
    """The weights after a whole run, or after it was cut off at a saved state and started again."""
    data = pictures(256)
    for _ in range(2 if stop_after else 1):
        torch.manual_seed(1)
        with ThreadPoolExecutor(threads) as pool:
            training = train_cifar10.Training(argparse.Namespace(**SETTINGS), pool)
            if path.exists():
                training.restore(str(path))
            elif stop_after:
                step = training.train_step

                def cut_off(*arguments):
                    if training.total == stop_after:
                        raise KeyboardInterrupt
                    step(*arguments)

                training.train_step = cut_off
            try:
                training.run(*data, data, str(path))
            except KeyboardInterrupt:
                continue
    return training.mean, training.log


def test_a_run_repeats_whatever_the_threads_and_wherever_it_was_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(train_cifar10, "SAVE_EVERY", 3)
    whole, log = train(tmp_path / "whole.pt", threads=1)
    assert [(row["epoch"], row["steps"], row["progress"]) for row in log] == [(1, 4, 0.5), (2, 4, 1.0)]
    cut, cut_log = train(tmp_path / "cut.pt", threads=2, stop_after=5)
    assert [row["loss"] for row in cut_log] == [row["loss"] for row in log]
    for name, tensor in whole.items():
        assert torch.equal(tensor, cut[name]), name


@pytest.mark.parametrize("compiled", [True, False])
def test_the_training_pass_is_the_network(compiled):
    """Against torchvision's own forward pass in f32: loss, running statistics, and gradients as far as bfloat16 goes."""
    torch.manual_seed(1)
    net = build(0.25, 10).train()
    step = TrainingPass(net)
    if not compiled:
        step.kernels = None
    elif step.kernels is None:
        pytest.skip("no C++ compiler")
    x, y = pictures(64)
    x = train_cifar10.scaled(x)
    logits, statistics = step(x)
    expected = net(x)
    assert (logits - expected).abs().mean() < 0.2 * expected.abs().mean()
    for norm, (mean, variance) in zip(step.norms[:3], statistics):
        assert torch.allclose(norm.running_mean, 0.1 * mean, atol=2e-3)
        assert torch.allclose(norm.running_var, 0.9 + 0.1 * variance, rtol=2e-2)
    # Only the last layers: through fifty of them, rounding takes over in a network that has learned nothing.
    last = [net.classifier[1].weight, net.features[-1][1].weight]
    ours = torch.autograd.grad(F.cross_entropy(logits, y), last)
    theirs = torch.autograd.grad(F.cross_entropy(expected, y), last)
    for a, b in zip(ours, theirs):
        assert F.cosine_similarity(a.flatten(), b.flatten(), 0) > 0.95


def test_the_compiled_batch_norm_against_autograd():
    kernels = TrainingPass(build(0.25, 10)).kernels
    if kernels is None:
        pytest.skip("no C++ compiler")
    torch.manual_seed(1)
    for channels, side, relu6 in ((8, 5, True), (24, 9, True), (48, 7, False), (100, 3, True)):
        x = (torch.randn(6, channels, side, side) * 2 + 0.5).bfloat16().contiguous(memory_format=torch.channels_last)
        gamma, beta = torch.rand(channels) * 3, torch.randn(channels)
        dy = torch.randn(x.shape).bfloat16().contiguous(memory_format=torch.channels_last)
        y, mean, variance = kernels.forward(x, gamma, beta, 1e-5, relu6)
        inputs = [t.float().requires_grad_() for t in (x, gamma, beta)]
        reference = F.batch_norm(inputs[0], None, None, *inputs[1:], True)
        reference = F.relu6(reference) if relu6 else reference
        expected = (reference, *torch.autograd.grad(reference, inputs, dy.float()))
        for ours, theirs in zip((y, *kernels.backward(dy, x, gamma, beta, mean, variance, 1e-5, relu6)), expected):
            assert (ours.float() - theirs).abs().max() < 5e-3 * theirs.abs().max()


@pytest.mark.parametrize("side", [7, 8])
def test_a_strided_depthwise_against_autograd(side):
    torch.manual_seed(1)
    x = torch.randn(4, 16, side, side).requires_grad_()
    w = torch.randn(16, 1, 3, 3).requires_grad_()
    dy = torch.randn(4, 16, 4, 4)
    ours = torch.autograd.grad(StridedDepthwise.apply(x, w), (x, w), dy)
    theirs = torch.autograd.grad(F.conv2d(x, w, None, 2, 1, 1, 16), (x, w), dy)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, theirs))


def test_a_shift_moves_whole_pixels():
    x, _ = pictures(3)
    maps, colour, holes = train_cifar10.draw_changes(3, 0.0, torch.Generator().manual_seed(2))
    y = train_cifar10.changed(x, maps, colour, holes, 0, 32)
    for i in range(3):
        mirror = int(maps[i, 0, 0])
        right, down = (maps[i, :, 2] * 16).round().int().tolist()
        original = train_cifar10.scaled(x[i : i + 1])[0]
        moved = (original.flip(2) if mirror < 0 else original).roll((-down, -right * mirror), (1, 2))
        inside = slice(4, 28)  # the borders are reflected
        assert torch.allclose(moved[:, inside, inside], y[i, :, inside, inside], atol=1e-4)


def test_a_hole_is_grey_and_the_rest_is_not_touched():
    x, _ = pictures(2)
    y = train_cifar10.cut(x, torch.tensor([[16, 10], [0, 31]]), 8)
    expected = x.clone()
    expected[0, :, 12:20, 6:14] = 127
    expected[1, :, :4, 27:] = 127
    assert torch.equal(y, expected)
    assert torch.equal(train_cifar10.cut(x, torch.tensor([[16, 10], [0, 31]]), 0), x)
