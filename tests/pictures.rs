//! Decoding and preprocessing against Pillow: the committed pictures, and the photos and inputs of `$MOBILENET_TEST_ASSETS`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use mobilenet_wgpu::picture::{DecodeLimits, Geometry, Interpolation, Picture, Preprocessing, Resize, resample};
use safetensors::SafeTensors;

#[path = "common/rule.rs"]
mod rule;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Name, shape `[H, W, 3]` and bytes of every tensor.
fn tensors(path: &str) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(repository(path)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec())).collect()
}

fn rgb(picture: &Picture) -> Vec<u8> {
    picture.rgba().chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect()
}

/// Largest difference.
fn worst(ours: &[u8], theirs: &[u8]) -> u8 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn every_format_decodes_as_in_pillow() {
    let golden = tensors("tests/pictures/pillow.safetensors");
    assert!(golden.len() > 60);
    let grey = golden.iter().find(|(name, ..)| name == "grey_8.png").unwrap().2.clone();
    for (name, shape, expected) in golden {
        let picture = Picture::open(repository("tests/pictures").join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(picture.size().map(|side| side as usize).to_vec(), shape[..2], "{name}");
        // Pillow clips 16-bit grey to white; we keep the high byte, and this file's are the values of `grey_8.png`.
        let expected = if name.starts_with("grey_16") { &grey } else { &expected };
        assert_eq!(worst(&rgb(&picture), expected), 0, "{name}");
    }
}

#[test]
fn alpha_is_kept() {
    let alpha = |name: &str| Picture::open(repository("tests/pictures").join(name)).unwrap().rgba()[3];
    assert_eq!(alpha("rgb_8.png"), 255);
    assert!(alpha("rgba_8.png") < 255);
    assert_eq!(alpha("rgba_8.png"), alpha("rgba_16.png"));
}

#[test]
fn bad_files_are_errors_that_say_why() {
    let limits = DecodeLimits::default();
    let says = |bytes: &[u8], what: &str| {
        let error = Picture::decode(bytes, &limits).unwrap_err().to_string();
        assert!(error.contains(what), "`{error}` does not say `{what}`");
    };
    says(b"", "empty");
    says(b"%PDF-1.4 and so on", "JPEG, PNG, WebP, BMP and GIF");
    says(b"\0\0\0\x20ftypheic\0\0\0\0", "HEIC");
    says(b"II*\0\x08\0\0\0", "TIF");
    for name in ["baseline_420.jpg", "progressive_420.jpg", "rgb_8.png", "lossy.webp", "rgb.bmp", "palette.gif"] {
        let bytes = std::fs::read(repository("tests/pictures").join(name)).unwrap();
        for length in [3, 20, bytes.len() / 2] {
            assert!(Picture::decode(&bytes[..length], &limits).is_err(), "{name} cut to {length} bytes");
        }
    }
    let missing = Picture::open("no/such/picture.jpg").unwrap_err().to_string();
    assert!(missing.contains("no/such/picture.jpg"), "{missing}");
}

/// As in Pillow: a scratch amid the pixels of a JPEG is repaired, and only there do they differ.
#[test]
fn damage_amid_a_jpeg_costs_a_few_blocks() {
    let bytes = std::fs::read(repository("tests/pictures/restarts.jpg")).unwrap();
    let whole = Picture::decode(&bytes, &DecodeLimits::default()).unwrap();
    let restart = bytes.windows(2).rposition(|pair| pair[0] == 0xFF && (0xD0..0xD8).contains(&pair[1])).unwrap();
    let scratched: Vec<u8> = [&bytes[..restart - 3], &bytes[restart..]].concat();
    let scratched = Picture::decode(&scratched, &DecodeLimits::default()).unwrap();
    let differ = |(a, b): (&[u8], &[u8])| a != b;
    let pixels = whole.rgba().chunks(4).zip(scratched.rgba().chunks(4)).filter(|pair| differ(*pair)).count();
    assert!(pixels <= 29 * 21 / 2, "{pixels} pixels differ");
}

#[test]
fn inks_sampled_in_an_unusual_way_are_an_error() {
    let mut bytes = std::fs::read(repository("tests/pictures/cmyk.jpg")).unwrap();
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 2 + 8 + 3 + 1] = 0x21;
    let error = Picture::decode(&bytes, &DecodeLimits::default()).unwrap_err().to_string();
    assert!(error.contains("inks"), "{error}");
}

#[test]
fn a_limit_stops_bombs_before_they_are_unpacked() {
    // A PNG header of 60000 x 60000 with nothing behind it, and a real picture with a small limit.
    let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0".to_vec();
    let crc = header[12..].iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    });
    header.extend((!crc).to_be_bytes());
    header.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    let error = Picture::decode(&header, &DecodeLimits::default()).unwrap_err().to_string();
    assert!(error.contains("60000x60000"), "{error}");
    for name in ["baseline_420.jpg", "rgb_8.png", "lossy.webp", "rgb.bmp", "palette.gif"] {
        let bytes = std::fs::read(repository("tests/pictures").join(name)).unwrap();
        let error = Picture::decode(&bytes, &DecodeLimits { pixels: 500 }).unwrap_err().to_string();
        assert!(error.contains("limit of 500"), "{error}");
        Picture::decode(&bytes, &DecodeLimits { pixels: 29 * 21 }).unwrap();
    }
}

#[test]
fn damaged_files_never_panic() {
    let limits = DecodeLimits { pixels: 1 << 20 };
    for (name, ..) in tensors("tests/pictures/pillow.safetensors") {
        let bytes = std::fs::read(repository("tests/pictures").join(&name)).unwrap();
        let mut state = 1u64;
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            for _ in 0..4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % damaged.len();
                damaged[at] = (state >> 20) as u8;
            }
            let _ = Picture::decode(&damaged, &limits);
        }
    }
}

#[test]
fn resizing_is_pillows_bit_for_bit() {
    for golden in rule::resized() {
        let [from, to] = [golden.from, golden.to].map(|(height, width)| [height as u32, width as u32]);
        let picture = Picture::from_rgb(from[1], from[0], &rule::picture(&golden.kind, golden.from.0, golden.from.1)).unwrap();
        let interpolation = if golden.filter == "bicubic" { Interpolation::Bicubic } else { Interpolation::Bilinear };
        let whole = Geometry { picture: from, resized: to, offset: [0, 0], crop: to };
        let name = format!("{} {from:?} to {to:?}, {interpolation:?}", golden.kind);
        let ours = resample::resize(&picture, &whole, interpolation);
        // Pillow 13 resizes along y first where that axis shrinks much more; all before it (and we) along x.
        let along_y_first = from[0] * to[1] * 2 > from[1] * to[0] * 3 && from[1] != to[1];
        assert!(worst(&ours, &golden.pixels) <= u8::from(along_y_first), "{name}");
        let part = Geometry { offset: to.map(|side| side / 3), crop: to.map(|side| side - side / 2), ..whole };
        assert_eq!(resample::resize(&picture, &part, interpolation), cropped(&ours, &part), "{name}, a part");
    }
}

fn cropped(pixels: &[u8], geometry: &Geometry) -> Vec<u8> {
    let Geometry { resized, offset, crop, .. } = *geometry;
    let rows = pixels.chunks(resized[1] as usize * 3).skip(offset[0] as usize).take(crop[0] as usize);
    rows.flat_map(|row| row[offset[1] as usize * 3..][..crop[1] as usize * 3].to_vec()).collect()
}

#[test]
fn geometry_follows_the_rules() {
    let rule = |resize| Preprocessing { resize, ..Preprocessing::TORCH };
    let usual = rule(Resize::CentreCrop { crop_pct: 0.875 });
    for (side, short) in [(224, 256), (192, 219), (160, 183), (128, 146), (96, 110)] {
        let geometry = usual.geometry([929, 512], [side; 2]).unwrap();
        assert_eq!(geometry.resized, [short * 929 / 512, short]);
        assert_eq!(geometry.crop, [side; 2]);
    }
    // 464 - 224 is even; 15 halves to 8 (7.5, to even), 13 to 6.
    assert_eq!(usual.geometry([929, 512], [224; 2]).unwrap().offset, [120, 16]);
    assert_eq!(usual.geometry([720, 480], [192; 2]).unwrap().offset, [68, 14]);
    assert_eq!(rule(Resize::CentreCrop { crop_pct: 1.0 }).geometry([239, 224], [224; 2]).unwrap().offset, [8, 0]);
    assert_eq!(rule(Resize::CentreCrop { crop_pct: 1.0 }).geometry([237, 224], [224; 2]).unwrap().offset, [6, 0]);
    let floor = |crop_pct| rule(Resize::CentreCropFloor { crop_pct });
    assert_eq!(floor(0.95).geometry([500, 400], [224; 2]).unwrap().resized, [293, 235]);
    assert_eq!(floor(0.8).geometry([400, 400], [224; 2]).unwrap().resized, [280, 280]);
    assert_eq!(floor(0.875).geometry([427, 640], [160, 224]).unwrap().resized, [182, 273].map(|s: u32| s.max(171)));
    let larger = rule(Resize::CentreCropLarger { crop_pct: 0.8 });
    assert_eq!(larger.geometry([32, 32], [32; 2]).unwrap().resized, [32, 32]);
    assert_eq!(larger.geometry([32, 33], [32; 2]).unwrap().resized, [40, 41]);
    let squash = rule(Resize::Squash).geometry([10, 2000], [32; 2]).unwrap();
    assert_eq!((squash.resized, squash.offset), ([32, 32], [0, 0]));
    assert_eq!(usual.geometry([1, 1], [224, 160]).unwrap().crop, [224, 160]);
    assert!(usual.geometry([0, 5], [224; 2]).is_err());
    assert!(usual.geometry([1, 10_000_000], [224; 2]).unwrap_err().to_string().contains("elongated"));
    assert!(rule(Resize::CentreCrop { crop_pct: 0.0 }).geometry([5, 5], [2; 2]).is_err());
}

#[test]
fn channels_come_in_the_networks_order() {
    let picture = Picture::from_rgb(1, 1, &[255, 0, 51]).unwrap();
    let values = |rule: Preprocessing| rule.apply(&picture, [1, 1]).unwrap().data;
    assert_eq!(values(Preprocessing::TENSORFLOW), [1.0, -1.0, -0.6]);
    let caffe = values(Preprocessing::CAFFE);
    let expected = [(51.0 - 103.94) * 0.017, -116.78 * 0.017, (255.0 - 123.68) * 0.017];
    for (value, expected) in caffe.iter().zip(expected) {
        approx::assert_abs_diff_eq!(*value, expected, epsilon = 1e-5);
    }
}

/// The photos give the inputs that the frameworks were fed, within the tolerances of the project.
#[test]
fn photos_become_the_goldens_inputs() {
    let Some(assets) = std::env::var_os("MOBILENET_TEST_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from) else {
        println!("skipped: MOBILENET_TEST_ASSETS names no folder of photos");
        return;
    };
    let mut compared = 0;
    for folder in std::fs::read_dir(assets.join("models")).unwrap().map(|entry| entry.unwrap().path()) {
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let torch = json["preprocess"]["mean"][0].as_f64().unwrap() < 1.0;
        let rule = if torch { Preprocessing::TORCH } else { Preprocessing::TENSORFLOW };
        let side = json["resolution"].as_u64().unwrap() as u32;
        for image in json["images"].as_array().unwrap() {
            let Ok(view) = golden.tensor(&format!("input_{}", image["index"])) else { continue };
            let expected: Vec<f32> = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            let photo = assets.join("photos").join(image["file"].as_str().unwrap());
            let ours = rule.apply(&Picture::open(&photo).unwrap(), [side; 2]).unwrap().to_nchw();
            assert_eq!(ours.len(), expected.len());
            for (i, (a, b)) in ours.iter().zip(&expected).enumerate() {
                let levels = (a - b) * 255.0 * rule.std[i / (side * side) as usize];
                assert!(levels.abs() < 1e-3, "{photo:?}: off by {levels} grey levels at {i}");
            }
            compared += 1;
        }
    }
    assert!(compared >= 24, "only {compared} inputs were found");
}
