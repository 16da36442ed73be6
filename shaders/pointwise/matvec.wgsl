// Matrix-vector product: a pointwise convolution or linear layer on very few pixels (the classifier at batch 1).
//
// Bindings   input [pixels][in_c4], weights [tile][4 in_c4][8] (a tile is 32 output channels, one stream from end to end; zeros past
//            the last channel), bias [out_c4], residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]; all vec4 of channels
// Mapping    A workgroup of 8 x SLICES makes 1 pixel x 32 channels: 8 channel quads x SLICES slices of the input channels, summed through
//            workgroup memory; together they read their tile of the weights from end to end, once. Dispatch (ceil(out_c4 / 8), pixels, 1), y folded into z beyond 65,535.
// Where      One to three pixels: nothing is reused but the weights' cache lines, so bytes of weights are the bound.

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

var<workgroup> partial: array<vec4<accum_t>, 8u * SLICES>;  // [slice][quad]

@compute @workgroup_size(8, SLICES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let quad = group.x * 8u + id.x;
  let n = min(quad, layer.out_c4 - 1u);
  let pixel = min(group.y + group.z * groups.y, layer.pixels - 1u);
  var sum = vec4<accum_t>();
  let slice = (layer.in_c4 + SLICES - 1u) / SLICES;
  for (var k = id.y * slice; k < min((id.y + 1u) * slice, layer.in_c4); k++) {
    let j = (group.x * layer.in_c4 + k) * 32u + id.x;
    let x = vec4<compute_t>(input[pixel * layer.in_c4 + k]);
    sum += vec4<accum_t>(x.x * vec4<compute_t>(weights[j]) + x.y * vec4<compute_t>(weights[j + 8u])
      + x.z * vec4<compute_t>(weights[j + 16u]) + x.w * vec4<compute_t>(weights[j + 24u]));
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
