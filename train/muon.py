"""The optimiser of the pointwise convolutions: Muon (Keller Jordan and others, 2024), momentum made orthogonal.

Every such convolution is followed by a batch norm, so only the direction of its rows matters. Each step scales the
matrix to a fixed norm, and turns it by an update whose singular values are all near one.
"""

import torch


def orthogonal(g):
    """The matrix g with its singular values moved near 1: five Newton-Schulz steps, in bfloat16."""
    x = g.bfloat16() / (g.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    """For convolution weights `[Cout, Cin, Kh, Kw]`, taken as matrices of Cout rows; one matrix a task of `pool`, if there is one."""

    def __init__(self, parameters, lr, momentum, pool):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self.pool = pool

    def step(self):
        for group in self.param_groups:
            each = self.pool.map if self.pool else map
            list(each(lambda w: self.turn(w, group["lr"], group["momentum"]), group["params"]))

    @torch.no_grad()
    def turn(self, w, lr, momentum):
        state = self.state[w]
        if not state:
            state["momentum"] = torch.zeros_like(w)
        velocity = state["momentum"].mul_(momentum).add_(w.grad)
        update = orthogonal((w.grad + momentum * velocity).reshape(len(w), -1)).view_as(w)
        aspect = max(1, len(w) / w[0].numel()) ** 0.5
        w.mul_(len(w) ** 0.5 / w.norm()).sub_(update * (lr * aspect))
