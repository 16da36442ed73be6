// Second pass of Pillow's antialiased resize, along y, and the normalisation: from bytes to the network's input.
//
// Up to the byte the arithmetic is Pillow's and that of its twin on the CPU, src/picture/resample.rs; then byte * scale + bias.
//
// Bindings   tables: `rows` pairs (first row of the picture, number of rows), then weights [rows][taps] with 22 fraction bits
//            input   [..][width] RGBA8, red in the low byte: what the first pass made, from the picture's row `in_top` on
//            output  [..][4] the network's input: one vec4 a pixel, in the network's channel order, fourth lane 0; the
//                    rows of this dispatch begin at pixel `first`, which chooses the place in the batch
// Mapping    A thread makes one pixel, a workgroup 8x8. Dispatch (ceil(width / 8), ceil(rows / 8), 1).

alias storage_t = f32;

struct Resize {
  scale: vec4<f32>,  // 1 / (255 * std), in the network's channel order; fourth lane 0
  bias: vec4<f32>,   // -mean / std; fourth lane 0
  width: u32, rows: u32, in_top: u32, taps: u32,
  first: u32, blue_first: u32, unused0: u32, unused1: u32,
}
@group(0) @binding(0) var<uniform> resize: Resize;
@group(0) @binding(1) var<storage, read> tables: array<i32>;
@group(0) @binding(2) var<storage, read> input: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<storage_t>>;

const FRACTION_BITS = 22u;
const HALF = 2097152;  // 1 << (FRACTION_BITS - 1)

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = id.x;
  let row = id.y;
  if x >= resize.width || row >= resize.rows {
    return;
  }
  let first = (u32(tables[2u * row]) - resize.in_top) * resize.width + x;
  let count = u32(tables[2u * row + 1u]);
  let weights = 2u * resize.rows + row * resize.taps;

  var sum = vec3<i32>(HALF);
  for (var k = 0u; k < count; k++) {
    let pixel = vec3<u32>(input[first + k * resize.width]);
    sum += tables[weights + k] * vec3<i32>((pixel >> vec3<u32>(0u, 8u, 16u)) & vec3<u32>(255u));
  }
  let bytes = vec3<f32>(clamp(sum >> vec3<u32>(FRACTION_BITS), vec3<i32>(0), vec3<i32>(255)));
  let ordered = select(bytes, bytes.zyx, resize.blue_first == 1u);
  let value = vec4<f32>(ordered, 0.0) * resize.scale + resize.bias;
  output[resize.first + row * resize.width + x] = vec4<storage_t>(value);
}
