from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

__version__: str

class _PilImage(Protocol):
    """A `PIL.Image.Image`."""

    @property
    def size(self) -> tuple[int, int]: ...
    def convert(self, mode: str) -> Any: ...
    def tobytes(self) -> bytes: ...

Image: TypeAlias = str | PathLike[str] | bytes | _PilImage | NDArray[np.uint8]
"""A path, the bytes of a picture file, a PIL image, or uint8 pixels `[H, W]`, `[H, W, 1]`, `[H, W, 3]` (RGB), `[H, W, 4]`."""

@final
class Prediction:
    """A class and its probability."""

    @property
    def index(self) -> int:
        """The model's own output index; a background class counts."""
    @property
    def label(self) -> str:
        """The class's name."""
    @property
    def wnid(self) -> str | None:
        """WordNet id, of ImageNet's classes."""
    @property
    def probability(self) -> float:
        """In 0..1."""

@final
class Job:
    """Pictures under way. Dropping it gives them up."""

    def done(self) -> bool:
        """Whether the result is there; never waits."""
    def result(self) -> dict[str, NDArray[np.float32]]:
        """Waits for the outputs; they come once."""

@final
class Classifier:
    """A model, ready to run at one size. Threads may share it; they take turns."""

    def __new__(
        cls,
        model: str | PathLike[str] | bytes,
        *,
        outputs: Sequence[str] | None = None,
        size: int | tuple[int, int] | None = None,
        batch: int = 1,
        in_flight: int = 2,
        precision: Literal["f32", "f16-storage", "f16"] = "f32",
        cpu: bool = False,
        fallback: bool = True,
        adapter: str | int | None = None,
        backend: str | None = None,
        labels: Sequence[str] | None = None,
        config_json: str | None = None,
    ) -> Classifier:
        """Opens a checkpoint: a .safetensors file, a folder with model.safetensors, or the bytes of such a file.

        outputs: names such as "logits", "probabilities", "embedding", "features", "block3.project"; by default the first
            three of them, or "embedding" for a model without a classifier.
        size: height and width of the network's input (one number for both); the model's own by default.
        batch: most pictures of one dispatch; more are run in parts.
        in_flight: jobs of `submit` that can be under way.
        cpu: compute on the CPU, whatever adapters there are. fallback: do so if there is no adapter.
        adapter: part of a name, or an index in `adapters()`. backend: such as "vulkan", or "metal,dx12".
        labels: names of the classes. config_json: the text of a config.json, for models that are bytes.
        """
    @overload
    def classify(self, images: Image, top: int = 5) -> list[Prediction]: ...
    @overload
    def classify(self, images: Sequence[Image], top: int = 5) -> list[list[Prediction]]: ...
    def embed(self, images: Image | Sequence[Image], *, normalize: bool = False) -> NDArray[np.float32]:
        """The pooled output of the last convolution: `[C]` for one picture, `[N, C]` for several."""
    def run(self, images: Image | Sequence[Image]) -> dict[str, NDArray[np.float32]]:
        """All outputs by name, for pictures: `[N, C]`, or `[N, H, W, C]` for maps. A 4-D uint8 array is a batch."""
    def run_tensor(self, values: NDArray[np.float32], *, layout: Literal["nhwc", "nchw"] = "nhwc") -> dict[str, NDArray[np.float32]]:
        """All outputs by name, for values that are normalised already, at the network's size."""
    def submit(self, images: Image | Sequence[Image]) -> Job:
        """Sets pictures going, at most `max_batch` of them, and does not wait. Raises BusyError if `in_flight` are."""
    def predictions(self, outputs: dict[str, NDArray[np.float32]], top: int = 5) -> list[list[Prediction]]:
        """The likeliest classes of each picture, from the outputs of `run` or of a job."""
    @property
    def labels(self) -> list[str]: ...
    @property
    def outputs(self) -> list[str]: ...
    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width."""
    @property
    def max_batch(self) -> int: ...
    @property
    def backend(self) -> str:
        """What computes: adapter, backend and driver."""
    @property
    def description(self) -> str:
        """What the checkpoint was recognised as, and why."""

def adapters(backend: str | None = None) -> list[dict[str, Any]]:
    """All graphics adapters, the best first, with names, drivers, limits and features."""
