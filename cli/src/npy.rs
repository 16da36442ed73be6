//! NumPy's `.npy` files of f32 in C order, the only ones that we need: a header, then the values. The one crate for the
//! format brings a parser generator and C code for a dictionary of three entries.

/// How each file begins.
pub const MAGIC: &[u8] = b"\x93NUMPY";

/// Shape and values of an array.
pub fn read(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
    let damaged = || "a damaged .npy file: its header is cut short".to_string();
    let (start, length) = match (bytes.get(6), bytes.get(8..12)) {
        (Some(1), Some(&[a, b, ..])) => (10, usize::from(u16::from_le_bytes([a, b]))),
        (Some(2 | 3), Some(&[a, b, c, d])) => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        (Some(version), Some(_)) => return Err(format!("an .npy file of version {version}; known are 1 to 3")),
        _ => return Err(damaged()),
    };
    let end = start + length;
    let header = bytes.get(start..end).and_then(|b| std::str::from_utf8(b).ok()).ok_or_else(damaged)?;
    let dtype = value(header, "descr").ok_or_else(damaged)?.trim_matches(['\'', '"']);
    if dtype != "<f4" {
        return Err(format!("its type is {dtype}, not <f4; save array.astype(numpy.float32)"));
    }
    if value(header, "fortran_order") != Some("False") {
        return Err("an array in Fortran order; save numpy.ascontiguousarray(array)".into());
    }
    let shape = shape(value(header, "shape").ok_or_else(damaged)?).ok_or_else(damaged)?;
    let data = &bytes[end..];
    let expected = shape.iter().try_fold(4usize, |n, d| n.checked_mul(*d));
    if expected != Some(data.len()) {
        return Err(format!("a damaged .npy file: shape {shape:?} does not fit {} bytes of values", data.len()));
    }
    Ok((shape, data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
}

/// The text of an entry of the header's dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let after = [format!("'{key}':"), format!("\"{key}\":")].iter().find_map(|k| header.split_once(k.as_str()))?.1.trim_start();
    let end = if after.starts_with('(') { after.find(')')? + 1 } else { after.find([',', '}'])? };
    Some(after[..end].trim())
}

fn shape(text: &str) -> Option<Vec<usize>> {
    let inner = text.strip_prefix('(')?.strip_suffix(')')?;
    inner.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[f32]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    #[test]
    fn arrays_are_read() {
        let bytes = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }      \n", &[1.5, -2.0]);
        assert_eq!(read(&bytes), Ok((vec![2, 1], vec![1.5, -2.0])));
        let bytes = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", &[1.0, 2.0]);
        assert_eq!(read(&bytes).map(|a| a.0), Ok(vec![2]));
    }

    #[test]
    fn others_are_told_apart() {
        let of = |header: &str| read(&file(header, &[1.0, 2.0])).err().unwrap_or_default();
        assert!(of("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }").contains("astype"));
        assert!(of("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }").contains("Fortran"));
        assert!(of("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }").contains("fit"));
        assert!(of("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 99999999999999), }").contains("fit"));
        assert!(of("nonsense").contains("damaged"));
        let whole = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &[1.0, 2.0]);
        for cut in 6..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
