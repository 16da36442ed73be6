// First pass of Pillow's antialiased resize: along x, to 8 bits, for a band of a picture's rows.
//
// The integer arithmetic is Pillow's and that of its twin on the CPU, src/picture/resample.rs: the bytes are the same on
// every device.
//
// Bindings   tables: `width` pairs (first column, number of columns), then weights [width][taps] with 22 fraction bits
//            input   [in_rows][in_width] RGBA8, red in the low byte: a band of rows, of the columns that the crop needs
//            output  [rows][width] RGBA8, alpha 0; the band's rows stand from `out_row` on
// Mapping    A thread makes one pixel, a workgroup 8x8. Dispatch (ceil(width / 8), ceil(in_rows / 8), 1).

struct Resize {
  width: u32, in_width: u32, in_rows: u32, out_row: u32,
  taps: u32, unused0: u32, unused1: u32, unused2: u32,
}
@group(0) @binding(0) var<uniform> resize: Resize;
@group(0) @binding(1) var<storage, read> tables: array<i32>;
@group(0) @binding(2) var<storage, read> input: array<u32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

const FRACTION_BITS = 22u;
const HALF = 2097152;  // 1 << (FRACTION_BITS - 1)

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = id.x;
  let row = id.y;
  if x >= resize.width || row >= resize.in_rows {
    return;
  }
  let first = row * resize.in_width + u32(tables[2u * x]);
  let count = u32(tables[2u * x + 1u]);
  let weights = 2u * resize.width + x * resize.taps;

  var sum = vec3<i32>(HALF);
  for (var k = 0u; k < count; k++) {
    let pixel = vec3<u32>(input[first + k]);
    sum += tables[weights + k] * vec3<i32>((pixel >> vec3<u32>(0u, 8u, 16u)) & vec3<u32>(255u));
  }
  let bytes = vec3<u32>(clamp(sum >> vec3<u32>(FRACTION_BITS), vec3<i32>(0), vec3<i32>(255)));
  output[(resize.out_row + row) * resize.width + x] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u);
}
