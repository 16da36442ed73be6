// Convolution, any kernel and stride, dense: the portable variant.
//
// Bindings   input [batch][in_height][in_width][in_c4], weights [kernel_height][kernel_width][4 in_c4][out_c4], bias [out_c4],
//            residual as output (any buffer if layer.residual = 0), output [batch][out_height][out_width][out_c4]; all vec4 of channels
// Mapping    A thread makes one vec4 of output channels of one pixel; lanes are neighbouring channels, then pixels.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 8), 1), y folded into z beyond 65,535.
// Where      Layers with few input channels, and shapes that no other variant takes.

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

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let n = id.x;
  let pixel = id.y + id.z * groups.y * 8u;
  if (n >= layer.out_c4 || pixel >= layer.pixels) { return; }
  let x = pixel % layer.out_width;
  let y = (pixel / layer.out_width) % layer.out_height;
  let image = pixel / (layer.out_width * layer.out_height);
  var sum = vec4<accum_t>(bias[n]);
  for (var ky = 0u; ky < layer.kernel_height; ky++) {
    let iy = i32(y * layer.stride + ky) - i32(layer.pad_top);
    if (iy < 0 || iy >= i32(layer.in_height)) { continue; }
    for (var kx = 0u; kx < layer.kernel_width; kx++) {
      let ix = i32(x * layer.stride + kx) - i32(layer.pad_left);
      if (ix < 0 || ix >= i32(layer.in_width)) { continue; }
      let i = ((image * layer.in_height + u32(iy)) * layer.in_width + u32(ix)) * layer.in_c4;
      let w = (ky * layer.kernel_width + kx) * layer.in_c4 * 4u * layer.out_c4 + n;
      for (var k = 0u; k < layer.in_c4; k++) {
        let v = vec4<compute_t>(input[i + k]);
        let j = w + k * 4u * layer.out_c4;
        sum += vec4<accum_t>(v.x * vec4<compute_t>(weights[j]) + v.y * vec4<compute_t>(weights[j + layer.out_c4])
          + v.z * vec4<compute_t>(weights[j + 2u * layer.out_c4]) + v.w * vec4<compute_t>(weights[j + 3u * layer.out_c4]));
      }
    }
  }
  let o = pixel * layer.out_c4 + n;
  if (layer.residual != 0u) { sum += vec4<accum_t>(residual[o]); }
  output[o] = vec4<storage_t>(clamp(sum, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}
