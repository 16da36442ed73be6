// Pointwise (1x1) convolution, tiles of input and weights through workgroup memory.
//
// Bindings   input [pixels][in_c4], weights [4 in_c4][out_c4], bias [out_c4],
//            residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]; all vec4 of channels
// Mapping    A thread makes 8 pixels x 4 channels, a workgroup of 64 makes 64 pixels x 32 channels, 16 input channels at a time: each
//            input value is read from memory once for 32 output channels, each weight once for 64 pixels.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 64), 1), y folded into z beyond 65,535. Workgroup memory: 6 KiB in f32.
// Where      Real GPUs with many pixels: large pictures, large batches. On software adapters workgroup memory is no gain.

alias storage_t = f32;
alias compute_t = f32;
alias accum_t = f32;

struct Layer {
  batch: u32, in_height: u32, in_width: u32, in_c4: u32,         // c4: vec4s of channels
  out_height: u32, out_width: u32, out_c4: u32, pixels: u32,     // pixels = batch * out_height * out_width
  kernel_height: u32, kernel_width: u32, stride: u32, channels: u32,  // channels: of the output, without padding
  pad_top: u32, pad_left: u32, low: f32, high: f32,              // the activation as a clamp
  residual: u32, hidden_c4: u32, hidden_low: f32, hidden_high: f32,
  rows: u32, rounds: u32, unused0: u32, unused1: u32,            // rows, rounds: set by the variant
}
@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var<storage, read> input: array<vec4<storage_t>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<storage_t>>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<storage_t>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<storage_t>>;

var<workgroup> pixels_tile: array<vec4<compute_t>, 256>;   // [input quad][pixel]
var<workgroup> weights_tile: array<vec4<compute_t>, 128>;  // [input channel][output quad]

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

fn store(pixel: u32, n: u32, sum: vec4<accum_t>) {
  if (pixel >= layer.pixels || n >= layer.out_c4) { return; }
  let o = pixel * layer.out_c4 + n;
  var v = sum;
  if (layer.residual != 0u) { v += vec4<accum_t>(residual[o]); }
  output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>,
        @builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) groups: vec3<u32>) {
  let n = group.x * 8u + id.x;
  let first = (group.y + group.z * groups.y) * 64u;
  let last = layer.pixels - 1u;
  let b = vec4<accum_t>(bias[min(n, layer.out_c4 - 1u)]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b; var c7 = b;
  let in_row = min(first + lane, last) * layer.in_c4;
  for (var k = 0u; k < layer.in_c4; k += 4u) {
    // 64 lanes fetch 4 input quads of a pixel each, and 16 rows x 8 quads of weights; zeros past the last input channel.
    for (var q = 0u; q < 4u; q++) {
      pixels_tile[q * 64u + lane] = select(vec4<compute_t>(), vec4<compute_t>(input[in_row + min(k + q, layer.in_c4 - 1u)]), k + q < layer.in_c4);
    }
    for (var r = 0u; r < 2u; r++) {
      let row = min(k * 4u + r * 8u + id.y, layer.in_c4 * 4u - 1u);
      weights_tile[(r * 8u + id.y) * 8u + id.x] = vec4<compute_t>(weights[row * layer.out_c4 + min(n, layer.out_c4 - 1u)]);
    }
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
      let w = q * 32u + id.x;
      let w0 = weights_tile[w]; let w1 = weights_tile[w + 8u]; let w2 = weights_tile[w + 16u]; let w3 = weights_tile[w + 24u];
      let p = q * 64u + id.y * 8u;
      c0 = mad(c0, pixels_tile[p], w0, w1, w2, w3);
      c1 = mad(c1, pixels_tile[p + 1u], w0, w1, w2, w3);
      c2 = mad(c2, pixels_tile[p + 2u], w0, w1, w2, w3);
      c3 = mad(c3, pixels_tile[p + 3u], w0, w1, w2, w3);
      c4 = mad(c4, pixels_tile[p + 4u], w0, w1, w2, w3);
      c5 = mad(c5, pixels_tile[p + 5u], w0, w1, w2, w3);
      c6 = mad(c6, pixels_tile[p + 6u], w0, w1, w2, w3);
      c7 = mad(c7, pixels_tile[p + 7u], w0, w1, w2, w3);
    }
    workgroupBarrier();
  }
  let pixel = first + id.y * 8u;
  store(pixel, n, c0);
  store(pixel + 1u, n, c1);
  store(pixel + 2u, n, c2);
  store(pixel + 3u, n, c3);
  store(pixel + 4u, n, c4);
  store(pixel + 5u, n, c5);
  store(pixel + 6u, n, c6);
  store(pixel + 7u, n, c7);
}
