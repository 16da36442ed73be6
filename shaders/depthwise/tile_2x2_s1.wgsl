// Depthwise 3x3, stride 1: a tile of 2 x 2 outputs in registers.
//
// Bindings   input [batch][in_height][in_width][c4], weights [9][c4], bias [c4], output [batch][out_height][out_width][c4]; vec4 of channels
// Mapping    A thread makes 2 x 2 pixels of one vec4 of channels from 4 x 4 inputs, each loaded once (4 loads an output instead of 9).
//            A workgroup is 8 channel quads x 8 tiles. Dispatch (ceil(c4 / 8), ceil(batch * tiles / 8), 1), y folded into z beyond 65,535.
// Where      Real GPUs: enough threads at small sizes, coalesced in channels.

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

// The input at row y and column x of a picture, 0 outside.
fn at(image: u32, y: i32, x: i32, c: u32) -> vec4<accum_t> {
  let h = i32(layer.in_height); let w = i32(layer.in_width);
  let inside = select(accum_t(0.0), accum_t(1.0), y >= 0 && x >= 0 && y < h && x < w);
  let row = image * layer.in_height + u32(clamp(y, 0, h - 1));
  return vec4<accum_t>(input[(row * layer.in_width + u32(clamp(x, 0, w - 1))) * layer.in_c4 + c]) * inside;
}

fn store(image: u32, y: u32, x: u32, c: u32, v: vec4<accum_t>) {
  if (y < layer.out_height && x < layer.out_width) {
    let o = ((image * layer.out_height + y) * layer.out_width + x) * layer.out_c4 + c;
    output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
  }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let c = id.x;
  let tiles_x = (layer.out_width + 1u) / 2u;
  let tiles = tiles_x * ((layer.out_height + 1u) / 2u);
  let tile = id.y + id.z * groups.y * 8u;
  let image = tile / tiles;
  if (c >= layer.out_c4 || image >= layer.batch) { return; }
  let y = (tile % tiles) / tiles_x * 2u;
  let x = (tile % tiles) % tiles_x * 2u;
  let top = i32(y * 1u) - i32(layer.pad_top);
  let left = i32(x * 1u) - i32(layer.pad_left);
  let w00 = vec4<accum_t>(weights[c]); let w01 = vec4<accum_t>(weights[1u * layer.out_c4 + c]); let w02 = vec4<accum_t>(weights[2u * layer.out_c4 + c]);
  let w10 = vec4<accum_t>(weights[3u * layer.out_c4 + c]); let w11 = vec4<accum_t>(weights[4u * layer.out_c4 + c]); let w12 = vec4<accum_t>(weights[5u * layer.out_c4 + c]);
  let w20 = vec4<accum_t>(weights[6u * layer.out_c4 + c]); let w21 = vec4<accum_t>(weights[7u * layer.out_c4 + c]); let w22 = vec4<accum_t>(weights[8u * layer.out_c4 + c]);
  let b = vec4<accum_t>(bias[c]);
  var o00 = b; var o01 = b; var o10 = b; var o11 = b;

  // Input row 0.
  let v00 = at(image, top + 0, left + 0, c);
  let v01 = at(image, top + 0, left + 1, c);
  let v02 = at(image, top + 0, left + 2, c);
  let v03 = at(image, top + 0, left + 3, c);
  o00 += v00 * w00 + v01 * w01 + v02 * w02;
  o01 += v01 * w00 + v02 * w01 + v03 * w02;

  // Input row 1.
  let v10 = at(image, top + 1, left + 0, c);
  let v11 = at(image, top + 1, left + 1, c);
  let v12 = at(image, top + 1, left + 2, c);
  let v13 = at(image, top + 1, left + 3, c);
  o00 += v10 * w10 + v11 * w11 + v12 * w12;
  o01 += v11 * w10 + v12 * w11 + v13 * w12;
  o10 += v10 * w00 + v11 * w01 + v12 * w02;
  o11 += v11 * w00 + v12 * w01 + v13 * w02;

  // Input row 2.
  let v20 = at(image, top + 2, left + 0, c);
  let v21 = at(image, top + 2, left + 1, c);
  let v22 = at(image, top + 2, left + 2, c);
  let v23 = at(image, top + 2, left + 3, c);
  o00 += v20 * w20 + v21 * w21 + v22 * w22;
  o01 += v21 * w20 + v22 * w21 + v23 * w22;
  o10 += v20 * w10 + v21 * w11 + v22 * w12;
  o11 += v21 * w10 + v22 * w11 + v23 * w12;

  // Input row 3.
  let v30 = at(image, top + 3, left + 0, c);
  let v31 = at(image, top + 3, left + 1, c);
  let v32 = at(image, top + 3, left + 2, c);
  let v33 = at(image, top + 3, left + 3, c);
  o10 += v30 * w20 + v31 * w21 + v32 * w22;
  o11 += v31 * w20 + v32 * w21 + v33 * w22;

  store(image, y, x, c, o00);
  store(image, y, x + 1u, c, o01);
  store(image, y + 1u, x, c, o10);
  store(image, y + 1u, x + 1u, c, o11);
}
