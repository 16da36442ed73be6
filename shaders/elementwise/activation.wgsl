// An activation that no pass has fused: output = clamp(input, low, high).
//
// Bindings   input [pixels][c4], output [pixels][c4]
// Mapping    A thread makes one vec4 of channels of one pixel. Dispatch (ceil(c4 / 8), ceil(pixels / 8), 1), y folded into z.

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

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let pixel = id.y + id.z * groups.y * 8u;
  if (id.x >= layer.out_c4 || pixel >= layer.pixels) { return; }
  let i = pixel * layer.out_c4 + id.x;
  output[i] = vec4<storage_t>(clamp(vec4<accum_t>(input[i]), vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}
