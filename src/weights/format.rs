//! Tells other file formats from safetensors by their first bytes, so that the error can say what to do.

/// Reads like safetensors: a header length, then JSON.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// What the bytes are, if they are a known format but not safetensors, as the end of a sentence that begins with
/// "this is", with what to do.
pub(super) fn other_format(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file; download or copy the checkpoint again");
    }
    if is_safetensors(bytes) {
        return None;
    }
    let head = &bytes[..bytes.len().min(4096)];
    let begins = |magic: &[u8]| head.starts_with(magic);
    let holds = |part: &[u8]| head.windows(part.len()).any(|w| w == part);
    if begins(b"PK\x03\x04") {
        return Some(zip_format(holds));
    }
    // Pickle protocols 2 to 5; PyTorch's legacy format begins with a pickled magic number.
    if head.len() > 2 && head[0] == 0x80 && (2..=5).contains(&head[1]) {
        return Some("a PyTorch file (.pth, pickle); convert it: `mobilenet convert FILE.pth OUT.safetensors`");
    }
    if begins(b"\x89HDF\r\n\x1a\n") {
        return Some("a Keras file (.h5, HDF5); load it in Keras and save its weights with safetensors.numpy.save_file");
    }
    if head.get(4..8) == Some(b"TFL3") {
        return Some("a TensorFlow Lite file (.tflite); export the original model's weights to safetensors");
    }
    if begins(b"GGUF") {
        return Some("a GGUF file; export the original model's weights to safetensors");
    }
    if begins(b"\x93NUMPY") {
        return Some("a NumPy array (.npy); a checkpoint is a .safetensors file");
    }
    if begins(b"version https://git-lfs") {
        return Some("a Git LFS pointer, not the file itself; fetch it with `git lfs pull`");
    }
    if is_onnx(head) {
        return Some("an ONNX file (.onnx); export the original model's weights to safetensors");
    }
    if begins(b"<!DOCTYPE") || begins(b"<html") || begins(b"<HTML") {
        return Some("a web page, not a checkpoint; the download went wrong");
    }
    is_text(head).then_some("a text file; a checkpoint is a .safetensors file")
}

fn zip_format(holds: impl Fn(&[u8]) -> bool) -> &'static str {
    if holds(b"model.weights.h5") || holds(b"metadata.json") {
        "a Keras file (.keras); load it in Keras and save its weights with safetensors.numpy.save_file"
    } else if holds(b".npy") {
        "a NumPy archive (.npz); save its arrays with safetensors.numpy.save_file"
    } else {
        "a PyTorch file (.pth, zip); convert it: `mobilenet convert FILE.pth OUT.safetensors`"
    }
}

/// Protobuf of an ONNX `ModelProto`: field 1 (`ir_version`, a small varint), then another field with a length.
fn is_onnx(head: &[u8]) -> bool {
    matches!(head, [0x08, 1..=0x1f, 0x12 | 0x1a | 0x22 | 0x32 | 0x3a | 0x42, ..])
}

fn is_text(head: &[u8]) -> bool {
    let head = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut off by the end of the window is no reason to call it binary.
        Err(e) if e.valid_up_to() + 4 > head.len() => return is_text(&head[..e.valid_up_to()]),
        Err(_) => return false,
    };
    !head.is_empty() && !head.chars().any(|c| c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04\x00archive/data.pkl", "PyTorch"),
            (b"PK\x03\x04\x00model.weights.h5", "Keras"),
            (b"PK\x03\x04\x00weights.npy", "NumPy"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch"),
            (b"\x89HDF\r\n\x1a\n\x00\x00", "Keras"),
            (b"\x1c\x00\x00\x00TFL3\x14\x00", "Lite"),
            (b"\x08\x07\x12\x07pytorch", "ONNX"),
            (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
            (b"<!DOCTYPE html><html>", "web page"),
            ("fa\u{e7}ade: words\n".as_bytes(), "text"),
        ] {
            assert!(other_format(bytes).is_some_and(|s| s.contains(word)), "{bytes:?}: {:?}", other_format(bytes));
        }
        assert_eq!(other_format(b"\x02\0\0\0\0\0\0\0{}"), None);
        assert_eq!(other_format(&[0xff; 64]), None);
    }
}
