"""MobileNet V1 and V2 on any GPU that wgpu reaches: pictures in, NumPy arrays out.

    >>> import mobilenet_wgpu
    >>> classifier = mobilenet_wgpu.Classifier("model.safetensors")
    >>> for prediction in classifier.classify("photo.jpg"):
    ...     print(f"{prediction.probability:6.1%}  {prediction.label}")
"""

from ._errors import (
    BusyError,
    CheckpointError,
    DeviceError,
    DeviceLostError,
    Error,
    FileError,
    InputError,
    LimitError,
    NoAdapterError,
    OptionError,
    OutOfMemoryError,
)
from ._native import Classifier, Job, Prediction, __version__, adapters

__all__ = [
    "BusyError",
    "CheckpointError",
    "Classifier",
    "DeviceError",
    "DeviceLostError",
    "Error",
    "FileError",
    "InputError",
    "Job",
    "LimitError",
    "NoAdapterError",
    "OptionError",
    "OutOfMemoryError",
    "Prediction",
    "__version__",
    "adapters",
]
