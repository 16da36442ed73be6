"""The small network in the repository, a photo, and full checkpoints where MOBILENET_TEST_ASSETS says they are."""

import os
from pathlib import Path

import pytest

import mobilenet_wgpu

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def model():
    return ROOT / "cli/builtin/mobilenet_v2_cifar10.safetensors"


@pytest.fixture(scope="session")
def photo():
    return ROOT / "assets/cat.png"


@pytest.fixture(scope="session")
def assets():
    folder = os.environ.get("MOBILENET_TEST_ASSETS")
    if not folder:
        pytest.skip("MOBILENET_TEST_ASSETS is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def classifier(model):
    """On a GPU where there is one."""
    fallback = not os.environ.get("MOBILENET_TEST_GPU")
    return mobilenet_wgpu.Classifier(model, batch=4, fallback=fallback)


@pytest.fixture(scope="session")
def on_cpu(model):
    return mobilenet_wgpu.Classifier(model, batch=4, cpu=True)
