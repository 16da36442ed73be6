//! PyTorch's legacy format, written by hand: enough of pickle to make a whole model's `.pth` in a test.

use safetensors::{Dtype, SafeTensors};

/// The tensors of a safetensors file as `torch.save(…, _use_new_zipfile_serialization=False)` writes them.
pub fn from_safetensors(file: &[u8]) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(file).unwrap().tensors();
    let tensors: Vec<_> = tensors.into_iter().filter(|(_, t)| matches!(t.dtype(), Dtype::F32 | Dtype::F16)).collect();
    // The magic number, the protocol's version, what the machine was.
    let mut out = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    out.extend(b"\x80\x02M\xe9\x03.");
    out.extend(b"\x80\x02}(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\x0d\x00\x00\x00little_endian\x88u.");
    out.extend(b"\x80\x02}(");
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        text(&mut out, name);
        rebuild(&mut out, &i.to_string(), tensor);
    }
    out.extend(b"u.");
    out.extend(b"\x80\x02](");
    (0..tensors.len()).for_each(|i| text(&mut out, &i.to_string()));
    out.extend(b"e.");
    for (_, tensor) in &tensors {
        out.extend((elements(tensor) as u64).to_le_bytes());
        out.extend(tensor.data());
    }
    out
}

fn elements(tensor: &safetensors::tensor::TensorView<'_>) -> usize {
    tensor.shape().iter().product()
}

/// `_rebuild_tensor_v2(storage, 0, shape, stride, False, {})`.
fn rebuild(out: &mut Vec<u8>, key: &str, tensor: &safetensors::tensor::TensorView<'_>) {
    let storage: &[u8] = if tensor.dtype() == Dtype::F16 { b"ctorch\nHalfStorage\n" } else { b"ctorch\nFloatStorage\n" };
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(out, "storage");
    out.extend(storage);
    text(out, key);
    text(out, "cpu");
    number(out, elements(tensor));
    out.extend(b"NtQK\x00(");
    tensor.shape().iter().for_each(|n| number(out, *n));
    out.extend(b"t(");
    (0..tensor.shape().len()).for_each(|i| number(out, tensor.shape()[i + 1..].iter().product()));
    out.extend(b"t\x89}tR");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.push(b'J');
    out.extend((n as u32).to_le_bytes());
}
