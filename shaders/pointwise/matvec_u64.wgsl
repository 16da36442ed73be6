// Matrix-vector product, f32 only: as matvec, but with loads of 64 bits.
//
// Bindings   input [pixels][in_c4], weights [tile][2 in_c4][8] (vec4<u64>: weights of an even input channel in the low halves, of the next
//            one in the high ones), bias [out_c4], residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]
// Mapping    As matvec: a workgroup of 8 x SLICES makes 1 pixel x 32 channels. Dispatch (ceil(out_c4 / 8), pixels, 1), y folded into z
//            beyond 65,535.
// Where      Mesa's software Vulkan driver (llvmpipe), the classifier at batch 1.

const SLICES = 8u;

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
@group(0) @binding(1) var<storage, read> input: array<vec2<u64>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<storage_t>>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<u64>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<storage_t>>;

// Channels 0 to 3 of a pixel.
fn channels(v: vec2<u64>) -> vec4<compute_t> {
  let even = bitcast<vec2<f32>>(vec2<u32>(v));
  let odd = bitcast<vec2<f32>>(vec2<u32>(v >> vec2<u32>(32u)));
  return vec4<compute_t>(even.x, odd.x, even.y, odd.y);
}
// Weights of an even input channel and of the one after it.
fn even_row(pair: vec4<u64>) -> vec4<compute_t> { return bitcast<vec4<f32>>(vec4<u32>(pair)); }
fn odd_row(pair: vec4<u64>) -> vec4<compute_t> { return bitcast<vec4<f32>>(vec4<u32>(pair >> vec4<u32>(32u))); }

var<workgroup> partial: array<vec4<accum_t>, 8u * SLICES>;  // [slice][quad]

@compute @workgroup_size(8, SLICES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let quad = group.x * 8u + id.x;
  let n = min(quad, layer.out_c4 - 1u);
  let pixel = min(group.y + group.z * groups.y, layer.pixels - 1u);
  var sum = vec4<accum_t>();
  let slice = (layer.in_c4 + SLICES - 1u) / SLICES;
  for (var k = id.y * slice; k < min((id.y + 1u) * slice, layer.in_c4); k++) {
    let j = (group.x * layer.in_c4 + k) * 16u + id.x;
    let x = channels(input[pixel * layer.in_c4 + k]);
    let p0 = weights[j]; let p1 = weights[j + 8u];
    sum += vec4<accum_t>(x.x * even_row(p0) + x.y * odd_row(p0) + x.z * even_row(p1) + x.w * odd_row(p1));
  }
  partial[id.y * 8u + id.x] = sum;
  workgroupBarrier();
  if (id.y == 0u && quad < layer.out_c4) {
    var v = vec4<accum_t>(bias[n]);
    for (var s = 0u; s < SLICES; s++) { v += partial[s * 8u + id.x]; }
    let o = pixel * layer.out_c4 + n;
    if (layer.residual != 0u) { v += vec4<accum_t>(residual[o]); }
    output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
  }
}
