// Depthwise 3x3 at stride 1 or 2 with one pipeline, f32 only: as strip, but a load or store is of eight channels of a pixel, a vec4<u64>.
//
// Bindings   input [batch][in_height][in_width][c8], weights [9][c8]: vec4<u64>, in each an even channel in the low half and the next one in
//            the high half; bias [c4]: vec4 of channels; output [batch][out_height][out_width][c8], as the input; c4 = 2 c8
// Mapping    A thread slides down `layer.rows` output rows of eight channels, the even and the odd ones as a vec4 each. Five input columns
//            make three output columns at stride 1 and two at stride 2, which are the first and the third; stride 2 computes the rows
//            between its own as well and does not store them. Threads run over channels, then strips: no lane is idle for want of channels.
//            Dispatch (ceil(c8 * ceil(out_width / (4 - stride)) / 8), 1, batch * ceil(out_height / layer.rows)). layer.rounds = 9: a loop
//            bound that the compiler cannot see, so that the weights have one load site.
// Where      Mesa's software Vulkan driver (llvmpipe): it loads lane by lane, and 32 bytes take a third more instructions than 16.
//            Never on the web, which has no 64-bit integers.

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
@group(0) @binding(1) var<storage, read> input: array<vec4<u64>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<u64>>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<u64>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<storage_t>>;

// Channels 0, 2, 4, 6 and 1, 3, 5, 7 of the eight.
fn even(pair: vec4<u64>) -> vec4<accum_t> { return vec4<accum_t>(bitcast<vec4<f32>>(vec4<u32>(pair))); }
fn odd(pair: vec4<u64>) -> vec4<accum_t> { return vec4<accum_t>(bitcast<vec4<f32>>(vec4<u32>(pair >> vec4<u32>(32u)))); }

// A pixel's eight channels, even and odd ones side by side again.
fn store(x: u32, row: u32, c: u32, e: vec4<accum_t>, o: vec4<accum_t>) {
  if (x < layer.out_width) {
    let low = vec4<accum_t>(accum_t(layer.low)); let high = vec4<accum_t>(accum_t(layer.high));
    let a = vec4<u64>(bitcast<vec4<u32>>(clamp(e, low, high))); let b = vec4<u64>(bitcast<vec4<u32>>(clamp(o, low, high)));
    output[(row + x) * (layer.out_c4 / 2u) + c] = a | (b << vec4<u32>(32u));
  }
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let c8 = layer.out_c4 / 2u;
  // The last strip is moved left to end at the border: a few columns are computed twice, none is masked.
  let wide = 4u - layer.stride;
  let at = min(id.x, c8 * ((layer.out_width + wide - 1u) / wide) - 1u);
  let c = at % c8;
  let x0 = min(at / c8 * wide, max(layer.out_width, wide) - wide);
  let bands = (layer.out_height + layer.rows - 1u) / layer.rows;
  let image = id.z / bands;
  let y0 = (id.z % bands) * layer.rows;

  // One load site for nine weights: they move down one place a turn.
  var w0: vec4<u64>; var w1: vec4<u64>; var w2: vec4<u64>; var w3: vec4<u64>; var w4: vec4<u64>;
  var w5: vec4<u64>; var w6: vec4<u64>; var w7: vec4<u64>; var w8: vec4<u64>;
  for (var i = 0u; i < layer.rounds; i++) {
    w0 = w1; w1 = w2; w2 = w3; w3 = w4; w4 = w5; w5 = w6; w6 = w7; w7 = w8; w8 = weights[i * c8 + c];
  }
  let p0 = even(w0); let q0 = odd(w0);
  let p1 = even(w1); let q1 = odd(w1);
  let p2 = even(w2); let q2 = odd(w2);
  let p3 = even(w3); let q3 = odd(w3);
  let p4 = even(w4); let q4 = odd(w4);
  let p5 = even(w5); let q5 = odd(w5);
  let p6 = even(w6); let q6 = odd(w6);
  let p7 = even(w7); let q7 = odd(w7);
  let p8 = even(w8); let q8 = odd(w8);
  let b0 = vec4<accum_t>(bias[2u * c]); let b1 = vec4<accum_t>(bias[2u * c + 1u]);
  let be = vec4<accum_t>(b0.x, b0.z, b1.x, b1.z); let bo = vec4<accum_t>(b0.y, b0.w, b1.y, b1.w);

  // Input columns of this strip: address within a row, and 0 or 1 for outside or inside the image.
  let left = i32(x0 * layer.stride) - i32(layer.pad_left);
  let w_last = i32(layer.in_width) - 1;
  let j0 = u32(clamp(left + 0, 0, w_last)) * c8 + c; let m0 = select(accum_t(0.0), accum_t(1.0), left + 0 >= 0 && left + 0 <= w_last);
  let j1 = u32(clamp(left + 1, 0, w_last)) * c8 + c; let m1 = select(accum_t(0.0), accum_t(1.0), left + 1 >= 0 && left + 1 <= w_last);
  let j2 = u32(clamp(left + 2, 0, w_last)) * c8 + c; let m2 = select(accum_t(0.0), accum_t(1.0), left + 2 >= 0 && left + 2 <= w_last);
  let j3 = u32(clamp(left + 3, 0, w_last)) * c8 + c; let m3 = select(accum_t(0.0), accum_t(1.0), left + 3 >= 0 && left + 3 <= w_last);
  let j4 = u32(clamp(left + 4, 0, w_last)) * c8 + c; let m4 = select(accum_t(0.0), accum_t(1.0), left + 4 >= 0 && left + 4 <= w_last);
  let base = image * layer.in_height;
  let out_base = image * layer.out_height;
  let apart = layer.stride == 2u;

  // Accumulators of three rows at stride 1: d is finished by this input row (ky = 2), n has one more to come, the third starts with it.
  var de0 = be; var de1 = be; var de2 = be; var ne0 = be; var ne1 = be; var ne2 = be;
  var do0 = bo; var do1 = bo; var do2 = bo; var no0 = bo; var no1 = bo; var no2 = bo;
  let turns = (min(layer.rows, layer.out_height - y0) - 1u) * layer.stride + 3u;
  for (var t = 0u; t < turns; t++) {
    let y = i32(y0 * layer.stride + t) - i32(layer.pad_top);
    let inside = select(accum_t(0.0), accum_t(1.0), y >= 0 && y < i32(layer.in_height));
    let row = (base + u32(clamp(y, 0, i32(layer.in_height) - 1))) * layer.in_width * c8;
    let r0 = input[row + j0]; let s0 = m0 * inside; let ve0 = even(r0) * s0; let vo0 = odd(r0) * s0;
    let r1 = input[row + j1]; let s1 = m1 * inside; let ve1 = even(r1) * s1; let vo1 = odd(r1) * s1;
    let r2 = input[row + j2]; let s2 = m2 * inside; let ve2 = even(r2) * s2; let vo2 = odd(r2) * s2;
    let r3 = input[row + j3]; let s3 = m3 * inside; let ve3 = even(r3) * s3; let vo3 = odd(r3) * s3;
    let r4 = input[row + j4]; let s4 = m4 * inside; let ve4 = even(r4) * s4; let vo4 = odd(r4) * s4;
    de0 += ve0 * p6 + ve1 * p7 + ve2 * p8;
    de1 += ve1 * p6 + ve2 * p7 + ve3 * p8;
    de2 += ve2 * p6 + ve3 * p7 + ve4 * p8;
    do0 += vo0 * q6 + vo1 * q7 + vo2 * q8;
    do1 += vo1 * q6 + vo2 * q7 + vo3 * q8;
    do2 += vo2 * q6 + vo3 * q7 + vo4 * q8;
    if (t >= 2u && (t & (layer.stride - 1u)) == 0u) {
      let out_row = (out_base + y0 + (t - 2u) / layer.stride) * layer.out_width;
      store(x0, out_row, c, de0, do0);
      if (!apart) { store(x0 + 1u, out_row, c, de1, do1); }
      store(x0 + wide - 1u, out_row, c, de2, do2);
    }
    de0 = ne0 + ve0 * p3 + ve1 * p4 + ve2 * p5;
    de1 = ne1 + ve1 * p3 + ve2 * p4 + ve3 * p5;
    de2 = ne2 + ve2 * p3 + ve3 * p4 + ve4 * p5;
    do0 = no0 + vo0 * q3 + vo1 * q4 + vo2 * q5;
    do1 = no1 + vo1 * q3 + vo2 * q4 + vo3 * q5;
    do2 = no2 + vo2 * q3 + vo3 * q4 + vo4 * q5;
    ne0 = be + ve0 * p0 + ve1 * p1 + ve2 * p2;
    ne1 = be + ve1 * p0 + ve2 * p1 + ve3 * p2;
    ne2 = be + ve2 * p0 + ve3 * p1 + ve4 * p2;
    no0 = bo + vo0 * q0 + vo1 * q1 + vo2 * q2;
    no1 = bo + vo1 * q0 + vo2 * q1 + vo3 * q2;
    no2 = bo + vo2 * q0 + vo3 * q1 + vo4 * q2;
  }
}
