"""The safetensors format in the standard library alone: an 8-byte length, a JSON header, the bytes of the tensors."""
import json
import struct
from array import array
from pathlib import Path


def read(path):
    """Name -> (type, shape, bytes) of every tensor in the file."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    return {
        name: (entry["dtype"], entry["shape"], bytes(body[slice(*entry["data_offsets"])]))
        for name, entry in header.items()
        if name != "__metadata__"
    }


def write(path, tensors, metadata=None):
    """Writes {name: (shape, bytes)}, all f32."""
    header, end = {"__metadata__": metadata} if metadata else {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values()))


def floats(tensor):
    """The values of an f32 tensor as `read` gives it."""
    kind, _, data = tensor
    if kind != "F32":
        raise ValueError(f"expected an F32 tensor, found {kind}")
    return array("f", data)
