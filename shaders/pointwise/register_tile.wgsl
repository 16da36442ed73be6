// Pointwise (1x1) convolution, a register tile: the portable variant.
//
// Bindings   input [pixels][in_c4], weights [4 in_c4][out_c4], bias [out_c4],
//            residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]; all vec4 of channels
// Mapping    A thread makes 4 pixels x 4 channels. A workgroup is 8 channel quads wide (128 contiguous bytes of a weight row) and
//            8 x 4 pixels high. Dispatch (ceil(out_c4 / 8), ceil(pixels / 32), 1), y folded into z beyond 65,535.
// Where      Any GPU, layers with a few thousand outputs / 16 or more; phones and browsers too (no subgroups, no workgroup memory).

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

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

fn store(pixel: u32, n: u32, sum: vec4<accum_t>) {
  if (pixel >= layer.pixels) { return; }
  let o = pixel * layer.out_c4 + n;
  var v = sum;
  if (layer.residual != 0u) { v += vec4<accum_t>(residual[o]); }
  output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let n = id.x;
  let pixel = (id.y + id.z * groups.y * 8u) * 4u;
  if (n >= layer.out_c4 || pixel >= layer.pixels) { return; }
  // A pixel past the end reads the last one's input and is not stored.
  let last = layer.pixels - 1u;
  let i0 = pixel * layer.in_c4;
  let i1 = min(pixel + 1u, last) * layer.in_c4;
  let i2 = min(pixel + 2u, last) * layer.in_c4;
  let i3 = min(pixel + 3u, last) * layer.in_c4;
  let b = vec4<accum_t>(bias[n]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b;
  var j = n;
  for (var k = 0u; k < layer.in_c4; k++) {
    let w0 = vec4<compute_t>(weights[j]); let w1 = vec4<compute_t>(weights[j + layer.out_c4]);
    let w2 = vec4<compute_t>(weights[j + 2u * layer.out_c4]); let w3 = vec4<compute_t>(weights[j + 3u * layer.out_c4]);
    j += 4u * layer.out_c4;
    c0 = mad(c0, vec4<compute_t>(input[i0 + k]), w0, w1, w2, w3);
    c1 = mad(c1, vec4<compute_t>(input[i1 + k]), w0, w1, w2, w3);
    c2 = mad(c2, vec4<compute_t>(input[i2 + k]), w0, w1, w2, w3);
    c3 = mad(c3, vec4<compute_t>(input[i3 + k]), w0, w1, w2, w3);
  }
  store(pixel, n, c0);
  store(pixel + 1u, n, c1);
  store(pixel + 2u, n, c2);
  store(pixel + 3u, n, c3);
}
