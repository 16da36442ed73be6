// Depthwise 3x3, stride 2: a strip of 4 columns that slides down the rows.
//
// Bindings   input [batch][in_height][in_width][c4], weights [9][c4], bias [c4], output [batch][out_height][out_width][c4]; vec4 of channels
// Mapping    A thread makes a strip 4 columns wide of one vec4 of channels and slides down `layer.rows` output rows: every input value is
//            loaded once a strip. Lanes are neighbouring channels.
//            Dispatch (ceil(c4 / 8), ceil(out_width / 4), batch * ceil(out_height / layer.rows)). layer.rounds = 9: a loop bound that
//            the compiler cannot see, so that the weights have one load site.
// Where      Everywhere. On software adapters rows = out_height; a GPU wants more threads: few rows.

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
  let x0 = min(id.y * 4u, max(layer.out_width, 4u) - 4u);
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
  let left = i32(x0 * 2u) - i32(layer.pad_left);
  let w_last = i32(layer.in_width) - 1;
  let j0 = u32(clamp(left + 0, 0, w_last)) * layer.in_c4 + c; let m0 = select(accum_t(0.0), accum_t(1.0), left + 0 >= 0 && left + 0 <= w_last);
  let j1 = u32(clamp(left + 1, 0, w_last)) * layer.in_c4 + c; let m1 = select(accum_t(0.0), accum_t(1.0), left + 1 >= 0 && left + 1 <= w_last);
  let j2 = u32(clamp(left + 2, 0, w_last)) * layer.in_c4 + c; let m2 = select(accum_t(0.0), accum_t(1.0), left + 2 >= 0 && left + 2 <= w_last);
  let j3 = u32(clamp(left + 3, 0, w_last)) * layer.in_c4 + c; let m3 = select(accum_t(0.0), accum_t(1.0), left + 3 >= 0 && left + 3 <= w_last);
  let j4 = u32(clamp(left + 4, 0, w_last)) * layer.in_c4 + c; let m4 = select(accum_t(0.0), accum_t(1.0), left + 4 >= 0 && left + 4 <= w_last);
  let j5 = u32(clamp(left + 5, 0, w_last)) * layer.in_c4 + c; let m5 = select(accum_t(0.0), accum_t(1.0), left + 5 >= 0 && left + 5 <= w_last);
  let j6 = u32(clamp(left + 6, 0, w_last)) * layer.in_c4 + c; let m6 = select(accum_t(0.0), accum_t(1.0), left + 6 >= 0 && left + 6 <= w_last);
  let j7 = u32(clamp(left + 7, 0, w_last)) * layer.in_c4 + c; let m7 = select(accum_t(0.0), accum_t(1.0), left + 7 >= 0 && left + 7 <= w_last);
  let j8 = u32(clamp(left + 8, 0, w_last)) * layer.in_c4 + c; let m8 = select(accum_t(0.0), accum_t(1.0), left + 8 >= 0 && left + 8 <= w_last);
  let base = image * layer.in_height;
  let out_base = image * layer.out_height;

  // Input rows come in turns ky = 0, 1, 2 = 0 of the next output row, 1, 2 = 0, ...  d is the output row in work,
  // f the next. One body serves both parities (fewer load sites): an odd turn throws its f away.
  var d0 = b; var d1 = b; var d2 = b; var d3 = b;
  let turns = min(layer.rows, layer.out_height - y0) * 2u + 1u;
  for (var t = 0u; t < turns; t++) {
    let y = i32(y0 * 2u + t) - i32(layer.pad_top);
    let inside = select(accum_t(0.0), accum_t(1.0), y >= 0 && y < i32(layer.in_height));
    let row = (base + u32(clamp(y, 0, i32(layer.in_height) - 1))) * layer.in_width * layer.in_c4;
    let odd = (t & 1u) == 1u;
    let g0 = select(w6, w3, odd); let g1 = select(w7, w4, odd); let g2 = select(w8, w5, odd);
    var f0 = b; var f1 = b; var f2 = b; var f3 = b;
    let v0 = vec4<accum_t>(input[row + j0]) * (m0 * inside);
    d0 += v0 * g0; f0 += v0 * w0;
    let v1 = vec4<accum_t>(input[row + j1]) * (m1 * inside);
    d0 += v1 * g1; f0 += v1 * w1;
    let v2 = vec4<accum_t>(input[row + j2]) * (m2 * inside);
    d1 += v2 * g0; f1 += v2 * w0;
    d0 += v2 * g2; f0 += v2 * w2;
    let v3 = vec4<accum_t>(input[row + j3]) * (m3 * inside);
    d1 += v3 * g1; f1 += v3 * w1;
    let v4 = vec4<accum_t>(input[row + j4]) * (m4 * inside);
    d2 += v4 * g0; f2 += v4 * w0;
    d1 += v4 * g2; f1 += v4 * w2;
    let v5 = vec4<accum_t>(input[row + j5]) * (m5 * inside);
    d2 += v5 * g1; f2 += v5 * w1;
    let v6 = vec4<accum_t>(input[row + j6]) * (m6 * inside);
    d3 += v6 * g0; f3 += v6 * w0;
    d2 += v6 * g2; f2 += v6 * w2;
    let v7 = vec4<accum_t>(input[row + j7]) * (m7 * inside);
    d3 += v7 * g1; f3 += v7 * w1;
    let v8 = vec4<accum_t>(input[row + j8]) * (m8 * inside);
    d3 += v8 * g2; f3 += v8 * w2;
    if (odd) { continue; }
    if (t > 0u) {
      let out_row = (out_base + y0 + t / 2u - 1u) * layer.out_width;
      store(x0, out_row, c, d0);
      store(x0 + 1u, out_row, c, d1);
      store(x0 + 2u, out_row, c, d2);
      store(x0 + 3u, out_row, c, d3);
    }
    d0 = f0; d1 = f1; d2 = f2; d3 = f3;
  }
}
