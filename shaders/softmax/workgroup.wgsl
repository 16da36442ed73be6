// Softmax over the channels of one pixel; lanes past the last channel are 0.
//
// Bindings   input [batch][c4], output [batch][c4]
// Mapping    A workgroup of 64 makes one picture. Dispatch (batch, 1, 1), x folded into y.

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

var<workgroup> partial: array<f32, 64>;

fn masked(i: u32, base: u32, outside: f32) -> vec4<f32> {
  let v = vec4<f32>(input[base + i]);
  let c = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  return select(vec4<f32>(outside), v, c < vec4<u32>(layer.channels));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) groups: vec3<u32>) {
  let image = group.x + group.y * groups.x;
  let base = min(image, layer.batch - 1u) * layer.in_c4;
  var largest = -3.4e38;
  for (var i = lane; i < layer.in_c4; i += 64u) {
    let v = masked(i, base, -3.4e38);
    largest = max(largest, max(max(v.x, v.y), max(v.z, v.w)));
  }
  partial[lane] = largest;
  workgroupBarrier();
  for (var s = 0u; s < 64u; s++) { largest = max(largest, partial[s]); }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = lane; i < layer.in_c4; i += 64u) {
    let e = exp(masked(i, base, -3.4e38) - vec4<f32>(largest));
    sum += e.x + e.y + e.z + e.w;
  }
  partial[lane] = sum;
  workgroupBarrier();
  var total = 0.0;
  for (var s = 0u; s < 64u; s++) { total += partial[s]; }
  if (image >= layer.batch) { return; }
  for (var i = lane; i < layer.in_c4; i += 64u) {
    output[base + i] = vec4<storage_t>(exp(masked(i, base, -3.4e38) - vec4<f32>(largest)) / total);
  }
}
