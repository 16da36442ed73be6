"""The type stubs name what there is, and are shipped."""

import ast
from pathlib import Path

import mobilenet_wgpu

FOLDER = Path(mobilenet_wgpu.__file__).parent


def test_stubs_are_shipped():
    assert (FOLDER / "py.typed").is_file() and (FOLDER / "_native.pyi").is_file()


def test_stubs_and_module_name_the_same():
    stub = ast.parse((FOLDER / "_native.pyi").read_text())
    for name in ("Classifier", "Job", "Prediction"):
        node = next(n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == name)
        stated = {f.name for f in node.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")}
        real = {f for f in dir(getattr(mobilenet_wgpu, name)) if not f.startswith("_")}
        assert stated == real
