// Pointwise (1x1) convolution, the input channels split: for few pixels and many channels.
//
// Bindings   input [pixels][in_c4], weights [4 in_c4][out_c4], bias [out_c4],
//            residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]; all vec4 of channels
// Mapping    A workgroup of 8 x SLICES makes 4 pixels x 32 channels: 8 channel quads (128 contiguous bytes of a weight row) x SLICES slices
//            of the input channels. A thread has 4 pixels x 4 channels over its slice; the slices are summed through workgroup memory.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 4), 1), y folded into z beyond 65,535. Workgroup memory: 512 bytes a slice in f32.
// Where      Real GPUs at batch 1: 8 slices at 14x14, 16 at 7x7. A thread waits for its loads at each turn, so fewer turns are faster
//            until the outputs alone fill the device.

const SLICES = 8u;  // a row of the table may put another number here

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

var<workgroup> partial: array<vec4<accum_t>, 32u * SLICES>;  // [slice][pixel][quad]

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

@compute @workgroup_size(8, SLICES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let quad = group.x * 8u + id.x;
  let n = min(quad, layer.out_c4 - 1u);
  let pixel = (group.y + group.z * groups.y) * 4u;
  let last = layer.pixels - 1u;
  let i0 = min(pixel, last) * layer.in_c4;
  let i1 = min(pixel + 1u, last) * layer.in_c4;
  let i2 = min(pixel + 2u, last) * layer.in_c4;
  let i3 = min(pixel + 3u, last) * layer.in_c4;
  var c0 = vec4<accum_t>(); var c1 = vec4<accum_t>(); var c2 = vec4<accum_t>(); var c3 = vec4<accum_t>();
  for (var k = id.y; k < layer.in_c4; k += SLICES) {
    let j = k * 4u * layer.out_c4 + n;
    let w0 = vec4<compute_t>(weights[j]); let w1 = vec4<compute_t>(weights[j + layer.out_c4]);
    let w2 = vec4<compute_t>(weights[j + 2u * layer.out_c4]); let w3 = vec4<compute_t>(weights[j + 3u * layer.out_c4]);
    c0 = mad(c0, vec4<compute_t>(input[i0 + k]), w0, w1, w2, w3);
    c1 = mad(c1, vec4<compute_t>(input[i1 + k]), w0, w1, w2, w3);
    c2 = mad(c2, vec4<compute_t>(input[i2 + k]), w0, w1, w2, w3);
    c3 = mad(c3, vec4<compute_t>(input[i3 + k]), w0, w1, w2, w3);
  }
  let base = id.y * 32u + id.x;
  partial[base] = c0; partial[base + 8u] = c1; partial[base + 16u] = c2; partial[base + 24u] = c3;
  workgroupBarrier();
  // Rows 0 to 3 of the workgroup finish a pixel each.
  let p = pixel + id.y;
  if (id.y < 4u && p < layer.pixels && quad < layer.out_c4) {
    var sum = vec4<accum_t>(bias[n]);
    for (var s = 0u; s < SLICES; s++) { sum += partial[s * 32u + id.y * 8u + id.x]; }
    let o = p * layer.out_c4 + n;
    if (layer.residual != 0u) { sum += vec4<accum_t>(residual[o]); }
    output[o] = vec4<storage_t>(clamp(sum, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
  }
}
