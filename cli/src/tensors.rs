//! Tensors in files: `.safetensors` and `.npy` in, `.safetensors` out. Shapes are PyTorch's, `[N, C, H, W]`.

use crate::failure::{Failure, Outcome};
use crate::npy;
use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::graph::Shape;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;
use std::path::Path;

/// A picture, or a batch of them, already normalised.
pub struct Named {
    /// Its name in the file; of an `.npy` the file's stem.
    pub name: String,
    /// `[N, H, W, 3]`.
    pub tensor: Tensor,
    /// Whether its shape had no batch.
    pub single: bool,
}

/// What a file holds: pictures, and why each other tensor is none.
pub struct Contents {
    /// By name, sorted.
    pub pictures: Vec<Named>,
    /// Name, and the type or shape that makes it none.
    pub others: Vec<(String, String)>,
}

/// Values with a name and a shape, to be written.
pub struct Written {
    /// The name in the file.
    pub name: String,
    /// The shape in the file.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<f32>,
}

/// Reads a file of either kind.
pub fn read(path: &Path) -> Outcome<Contents> {
    let failed = |why: String| Failure::new(format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| failed(format!("cannot be read: {e}")))?;
    let mut contents = Contents { pictures: Vec::new(), others: Vec::new() };
    if bytes.starts_with(npy::MAGIC) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let (shape, values) = npy::read(&bytes).map_err(failed)?;
        contents.add(&name, &shape, &values);
    } else {
        let hint = "expected .safetensors or .npy, as safetensors.torch.save_file and numpy.save write them";
        let file = SafeTensors::deserialize(&bytes).map_err(|e| failed(format!("no tensors can be read ({e}); {hint}")))?;
        let tensors: BTreeMap<_, _> = file.tensors().into_iter().collect();
        for (name, view) in tensors {
            match view.dtype() {
                Dtype::F32 => contents.add(&name, view.shape(), &floats(view.data())),
                other => contents.others.push((name, format!("{other:?}"))),
            }
        }
    }
    Ok(contents)
}

impl Contents {
    fn add(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        match picture(shape, values) {
            Some((tensor, single)) => self.pictures.push(Named { name: name.into(), tensor, single }),
            None => self.others.push((name.into(), format!("{shape:?}"))),
        }
    }
}

/// A picture's tensor, and whether its shape had no batch.
fn picture(shape: &[usize], values: &[f32]) -> Option<(Tensor, bool)> {
    let (batch, [height, width]) = match *shape {
        [3, h, w] => (1, [h, w]),
        [n, 3, h, w] => (n, [h, w]),
        _ => return None,
    };
    let number = |n: usize| u32::try_from(n).ok().filter(|n| *n > 0);
    let shape_of_one = Shape::new(number(height)?, number(width)?, 3);
    let tensor = Tensor::from_nchw(number(batch)?, shape_of_one, values).ok()?;
    Some((tensor, shape.len() == 3))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Writes a `.safetensors` file, whole or not at all.
pub fn write(path: &Path, tensors: &[Written]) -> Outcome<()> {
    let failed = |why: String| Failure::new(format!("{}: cannot be written: {why}", path.display()));
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|t| t.values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = Vec::new();
    for (tensor, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(|e| failed(e.to_string()))?;
        views.push((tensor.name.as_str(), view));
    }
    let file = safetensors::serialize(views, None).map_err(|e| failed(e.to_string()))?;
    let part = path.with_extension(format!("part{}", std::process::id()));
    let moved = std::fs::write(&part, file).and_then(|()| std::fs::rename(&part, path));
    moved.map_err(|e| {
        let _ = std::fs::remove_file(&part);
        failed(e.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_shape() {
        let is =
            |shape: &[usize]| picture(shape, &vec![0.0; shape.iter().product()]).map(|(t, single)| (t.batch, t.shape.to_string(), single));
        assert_eq!(is(&[3, 2, 5]), Some((1, "2x5x3".into(), true)));
        assert_eq!(is(&[4, 3, 2, 5]), Some((4, "2x5x3".into(), false)));
        for shape in [&[5, 2, 3][..], &[0, 3, 2, 2], &[3, 0, 1], &[1000], &[1, 1, 3, 2, 2], &[]] {
            assert_eq!(is(shape), None, "{shape:?}");
        }
    }
}
