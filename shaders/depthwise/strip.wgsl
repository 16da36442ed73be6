// Depthwise 3x3 at stride 1 or 2 with one pipeline: a strip of five input columns that slides down the rows.
//
// Bindings   input [batch][in_height][in_width][c4], weights [9][c4], bias [c4], output [batch][out_height][out_width][c4]; vec4 of channels
// Mapping    A thread slides down `layer.rows` output rows of one vec4 of channels. Five input columns make three output columns at stride 1
//            (1.67 loads an output) and two at stride 2; every input value is loaded once a strip. Stride 2 computes the rows between
//            its own as well and does not store them: arithmetic is cheap beside loads, and a second pipeline is dear to compile.
//            Dispatch (ceil(c4 / 8), ceil(out_width / (4 - stride)), batch * ceil(out_height / layer.rows)). layer.rounds = 9: a loop bound
//            that the compiler cannot see, so that the weights have one load site.
// Where      Everywhere; on software adapters, whose compile time is load and store sites, the least to the first result.

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

fn store(x: u32, row: u32, c: u32, v: vec4<accum_t>) {
  if (x < layer.out_width) {
    output[(row + x) * layer.out_c4 + c] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
  }
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let c = min(id.x, layer.out_c4 - 1u);
  // The last strip is moved left to end at the border: a few columns are computed twice, none is masked.
  let wide = 4u - layer.stride;
  let x0 = min(id.y * wide, max(layer.out_width, wide) - wide);
  let bands = (layer.out_height + layer.rows - 1u) / layer.rows;
  let image = id.z / bands;
  let y0 = (id.z % bands) * layer.rows;

  // One load site for nine weights: they move down one place a turn.
  var w0: vec4<accum_t>; var w1: vec4<accum_t>; var w2: vec4<accum_t>; var w3: vec4<accum_t>; var w4: vec4<accum_t>;
  var w5: vec4<accum_t>; var w6: vec4<accum_t>; var w7: vec4<accum_t>; var w8: vec4<accum_t>;
  for (var i = 0u; i < layer.rounds; i++) {
    w0 = w1; w1 = w2; w2 = w3; w3 = w4; w4 = w5; w5 = w6; w6 = w7; w7 = w8; w8 = vec4<accum_t>(weights[i * layer.out_c4 + c]);
  }
  let b = vec4<accum_t>(bias[c]);

  // Input columns of this strip: address within a row, and 0 or 1 for outside or inside the image.
  let left = i32(x0 * layer.stride) - i32(layer.pad_left);
  let w_last = i32(layer.in_width) - 1;
  let j0 = u32(clamp(left + 0, 0, w_last)) * layer.in_c4 + c; let m0 = select(accum_t(0.0), accum_t(1.0), left + 0 >= 0 && left + 0 <= w_last);
  let j1 = u32(clamp(left + 1, 0, w_last)) * layer.in_c4 + c; let m1 = select(accum_t(0.0), accum_t(1.0), left + 1 >= 0 && left + 1 <= w_last);
  let j2 = u32(clamp(left + 2, 0, w_last)) * layer.in_c4 + c; let m2 = select(accum_t(0.0), accum_t(1.0), left + 2 >= 0 && left + 2 <= w_last);
  let j3 = u32(clamp(left + 3, 0, w_last)) * layer.in_c4 + c; let m3 = select(accum_t(0.0), accum_t(1.0), left + 3 >= 0 && left + 3 <= w_last);
  let j4 = u32(clamp(left + 4, 0, w_last)) * layer.in_c4 + c; let m4 = select(accum_t(0.0), accum_t(1.0), left + 4 >= 0 && left + 4 <= w_last);
  let base = image * layer.in_height;
  let out_base = image * layer.out_height;
  let apart = layer.stride == 2u;

  // Accumulators of three rows at stride 1: d is finished by this input row (ky = 2), e has one more to come, f starts.
  var d0 = b; var d1 = b; var d2 = b; var e0 = b; var e1 = b; var e2 = b;
  let turns = (min(layer.rows, layer.out_height - y0) - 1u) * layer.stride + 3u;
  for (var t = 0u; t < turns; t++) {
    let y = i32(y0 * layer.stride + t) - i32(layer.pad_top);
    let inside = select(accum_t(0.0), accum_t(1.0), y >= 0 && y < i32(layer.in_height));
    let row = (base + u32(clamp(y, 0, i32(layer.in_height) - 1))) * layer.in_width * layer.in_c4;
    let v0 = vec4<accum_t>(input[row + j0]) * (m0 * inside);
    let v1 = vec4<accum_t>(input[row + j1]) * (m1 * inside);
    let v2 = vec4<accum_t>(input[row + j2]) * (m2 * inside);
    let v3 = vec4<accum_t>(input[row + j3]) * (m3 * inside);
    let v4 = vec4<accum_t>(input[row + j4]) * (m4 * inside);
    // The second output column begins one column on, or two.
    let u0 = select(v1, v2, apart); let u1 = select(v2, v3, apart); let u2 = select(v3, v4, apart);
    d0 += v0 * w6 + v1 * w7 + v2 * w8;
    d1 += u0 * w6 + u1 * w7 + u2 * w8;
    d2 += v2 * w6 + v3 * w7 + v4 * w8;
    if (t >= 2u && (t & (layer.stride - 1u)) == 0u) {
      let out_row = (out_base + y0 + (t - 2u) / layer.stride) * layer.out_width;
      store(x0, out_row, c, d0);
      store(x0 + 1u, out_row, c, d1);
      if (!apart) { store(x0 + 2u, out_row, c, d2); }
    }
    d0 = e0 + v0 * w3 + v1 * w4 + v2 * w5;
    d1 = e1 + u0 * w3 + u1 * w4 + u2 * w5;
    d2 = e2 + v2 * w3 + v3 * w4 + v4 * w5;
    e0 = b + v0 * w0 + v1 * w1 + v2 * w2;
    e1 = b + u0 * w0 + u1 * w1 + u2 * w2;
    e2 = b + v2 * w0 + v3 * w1 + v4 * w2;
  }
}
