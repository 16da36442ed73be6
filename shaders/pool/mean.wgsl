// Global average pooling.
//
// Bindings   input [batch][in_height * in_width][c4], output [batch][c4]
// Mapping    A workgroup of 64 makes 8 vec4s of channels of one picture: 8 lanes across channels, 8 rows of partial sums.
//            Dispatch (ceil(c4 / 8), batch, 1), y folded into z.

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

var<workgroup> partial: array<vec4<accum_t>, 64>;

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let c = group.x * 8u + id.x;
  let image = group.y + group.z * groups.y;
  let size = layer.in_height * layer.in_width;
  var sum = vec4<accum_t>();
  if (c < layer.in_c4 && image < layer.batch) {
    for (var p = id.y; p < size; p += 8u) {
      sum += vec4<accum_t>(input[(image * size + p) * layer.in_c4 + c]);
    }
  }
  partial[id.y * 8u + id.x] = sum;
  workgroupBarrier();
  if (id.y == 0u && c < layer.in_c4 && image < layer.batch) {
    for (var r = 1u; r < 8u; r++) { sum += partial[r * 8u + id.x]; }
    output[image * layer.out_c4 + c] = vec4<storage_t>(sum / accum_t(size));
  }
}
