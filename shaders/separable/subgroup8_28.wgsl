// Depthwise 3x3 and pointwise in one dispatch for subgroups of 8; the tensor between them never leaves registers.
//
// Bindings   input [batch][in_height][in_width][in_c4], depthwise_weights [9][in_c4], depthwise_bias [in_c4],
//            pointwise_weights [tile][4 in_c4][8] (a tile is 32 output channels, one stream from end to end; zeros past the last
//            channel), pointwise_bias [out_c4], output [batch][out_height][out_width][out_c4]; vec4 of channels
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes 4 x 7 pixels x 32 channels, 32 channels between at a
//            time. Depthwise: lane l has channel quad l and slides down the rows, six input columns at stride 1, nine at stride 2.
//            Pointwise: lane l has output quad l, and takes the 28 depthwise values of the other lanes in turn. The depthwise part is
//            made again for each 32 output channels. Dispatch (ceil(out_c4 / 8), ceil(out_width / 4) * ceil(out_height / 7) * batch, 1).
//            layer.rounds = 7: a loop bound that the compiler cannot see, as its compile time is load and store sites.
// Where      Mesa's software Vulkan driver (llvmpipe), blocks of up to 32 output channels: no store and no load of the values between
//            the two. Its rows move through 28 registers that do not fit, so that it is a record's to say where that is less.

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
@group(0) @binding(3) var<storage, read> depthwise_weights: array<vec4<storage_t>>;
@group(0) @binding(4) var<storage, read> depthwise_bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> pointwise_weights: array<vec4<storage_t>>;
@group(0) @binding(6) var<storage, read> pointwise_bias: array<vec4<storage_t>>;

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

fn between(sum: vec4<accum_t>) -> vec4<compute_t> {
  return vec4<compute_t>(clamp(sum, vec4<accum_t>(accum_t(layer.hidden_low)), vec4<accum_t>(accum_t(layer.hidden_high))));
}

fn store(x: u32, row: u32, n: u32, v: vec4<accum_t>) {
  if (x < layer.out_width) {
    output[(row + x) * layer.out_c4 + n] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
  }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  // The last tiles are moved to end at the border: a few pixels are made twice, none is masked.
  let across = (layer.out_width + 3u) / 4u;
  let down = (layer.out_height + 6u) / 7u;
  let x0 = min(tile.y % across * 4u, max(layer.out_width, 4u) - 4u);
  let y0 = min(tile.y / across % down * 7u, max(layer.out_height, 7u) - 7u);
  let image = tile.y / (across * down);
  let n = tile.x * 8u + lane;
  let apart = layer.stride == 2u;
  // Input columns: offset within a row, and 0 or 1 for outside or inside the image.
  let left = i32(x0 * layer.stride) - i32(layer.pad_left);
  let w_last = i32(layer.in_width) - 1;
  let j0 = u32(clamp(left + 0, 0, w_last)) * layer.in_c4; let m0 = select(accum_t(0.0), accum_t(1.0), left + 0 >= 0 && left + 0 <= w_last);
  let j1 = u32(clamp(left + 1, 0, w_last)) * layer.in_c4; let m1 = select(accum_t(0.0), accum_t(1.0), left + 1 >= 0 && left + 1 <= w_last);
  let j2 = u32(clamp(left + 2, 0, w_last)) * layer.in_c4; let m2 = select(accum_t(0.0), accum_t(1.0), left + 2 >= 0 && left + 2 <= w_last);
  let j3 = u32(clamp(left + 3, 0, w_last)) * layer.in_c4; let m3 = select(accum_t(0.0), accum_t(1.0), left + 3 >= 0 && left + 3 <= w_last);
  let j4 = u32(clamp(left + 4, 0, w_last)) * layer.in_c4; let m4 = select(accum_t(0.0), accum_t(1.0), left + 4 >= 0 && left + 4 <= w_last);
  let j5 = u32(clamp(left + 5, 0, w_last)) * layer.in_c4; let m5 = select(accum_t(0.0), accum_t(1.0), left + 5 >= 0 && left + 5 <= w_last);
  let j6 = u32(clamp(left + 6, 0, w_last)) * layer.in_c4; let m6 = select(accum_t(0.0), accum_t(1.0), left + 6 >= 0 && left + 6 <= w_last);
  let j7 = u32(clamp(left + 7, 0, w_last)) * layer.in_c4; let m7 = select(accum_t(0.0), accum_t(1.0), left + 7 >= 0 && left + 7 <= w_last);
  let j8 = u32(clamp(left + 8, 0, w_last)) * layer.in_c4; let m8 = select(accum_t(0.0), accum_t(1.0), left + 8 >= 0 && left + 8 <= w_last);
  let pb = vec4<accum_t>(pointwise_bias[min(n, layer.out_c4 - 1u)]);
  var c0 = pb; var c1 = pb; var c2 = pb; var c3 = pb; var c4 = pb; var c5 = pb; var c6 = pb;
  var c7 = pb; var c8 = pb; var c9 = pb; var c10 = pb; var c11 = pb; var c12 = pb; var c13 = pb;
  var c14 = pb; var c15 = pb; var c16 = pb; var c17 = pb; var c18 = pb; var c19 = pb; var c20 = pb;
  var c21 = pb; var c22 = pb; var c23 = pb; var c24 = pb; var c25 = pb; var c26 = pb; var c27 = pb;
  var weight = tile.x * layer.in_c4 * 32u + lane;

  for (var k = 0u; k < layer.in_c4; k += 8u) {
    let c = min(k + lane, layer.in_c4 - 1u);
    // One load site for nine weights: they move down one place a turn.
    var w0: vec4<accum_t>; var w1: vec4<accum_t>; var w2: vec4<accum_t>; var w3: vec4<accum_t>; var w4: vec4<accum_t>;
    var w5: vec4<accum_t>; var w6: vec4<accum_t>; var w7: vec4<accum_t>; var w8: vec4<accum_t>;
    for (var i = 0u; i < layer.rounds + 2u; i++) {
      w0 = w1; w1 = w2; w2 = w3; w3 = w4; w4 = w5; w5 = w6; w6 = w7; w7 = w8; w8 = vec4<accum_t>(depthwise_weights[i * layer.in_c4 + c]);
    }
    let b = vec4<accum_t>(depthwise_bias[c]);

    // Row by row: what is done with this input row, has one more to come (d), starts (e).
    var v0: vec4<compute_t>; var v1: vec4<compute_t>; var v2: vec4<compute_t>; var v3: vec4<compute_t>; var v4: vec4<compute_t>; var v5: vec4<compute_t>; var v6: vec4<compute_t>;
    var v7: vec4<compute_t>; var v8: vec4<compute_t>; var v9: vec4<compute_t>; var v10: vec4<compute_t>; var v11: vec4<compute_t>; var v12: vec4<compute_t>; var v13: vec4<compute_t>;
    var v14: vec4<compute_t>; var v15: vec4<compute_t>; var v16: vec4<compute_t>; var v17: vec4<compute_t>; var v18: vec4<compute_t>; var v19: vec4<compute_t>; var v20: vec4<compute_t>;
    var v21: vec4<compute_t>; var v22: vec4<compute_t>; var v23: vec4<compute_t>; var v24: vec4<compute_t>; var v25: vec4<compute_t>; var v26: vec4<compute_t>; var v27: vec4<compute_t>;
    var f0 = b; var f1 = b; var f2 = b; var f3 = b; var d0 = b; var d1 = b; var d2 = b; var d3 = b; var e0 = b; var e1 = b; var e2 = b; var e3 = b;
    var y = i32(y0 * layer.stride) - i32(layer.pad_top);
    for (var r = 0u; r < layer.rounds; r++) {
      for (var end = y + select(i32(layer.stride), 3, r == 0u); y < end; y++) {
        let inside = select(accum_t(0.0), accum_t(1.0), y >= 0 && y < i32(layer.in_height));
        let row = (image * layer.in_height + u32(clamp(y, 0, i32(layer.in_height) - 1))) * layer.in_width * layer.in_c4 + c;
        let x0 = vec4<accum_t>(input[row + j0]) * (m0 * inside);
        let x1 = vec4<accum_t>(input[row + j1]) * (m1 * inside);
        let x2 = vec4<accum_t>(input[row + j2]) * (m2 * inside);
        let x3 = vec4<accum_t>(input[row + j3]) * (m3 * inside);
        let x4 = vec4<accum_t>(input[row + j4]) * (m4 * inside);
        let x5 = vec4<accum_t>(input[row + j5]) * (m5 * inside);
        var x6: vec4<accum_t>; var x7: vec4<accum_t>; var x8: vec4<accum_t>;
        if (apart) {
          x6 = vec4<accum_t>(input[row + j6]) * (m6 * inside);
          x7 = vec4<accum_t>(input[row + j7]) * (m7 * inside);
          x8 = vec4<accum_t>(input[row + j8]) * (m8 * inside);
        }
        // The next output column begins one column on, or two.
        let u10 = select(x1, x2, apart); let u11 = select(x2, x3, apart); let u12 = select(x3, x4, apart);
        let u20 = select(x2, x4, apart); let u21 = select(x3, x5, apart); let u22 = select(x4, x6, apart);
        let u30 = select(x3, x6, apart); let u31 = select(x4, x7, apart); let u32 = select(x5, x8, apart);
        f0 = d0 + x0 * w6 + x1 * w7 + x2 * w8;
        f1 = d1 + u10 * w6 + u11 * w7 + u12 * w8;
        f2 = d2 + u20 * w6 + u21 * w7 + u22 * w8;
        f3 = d3 + u30 * w6 + u31 * w7 + u32 * w8;
        d0 = e0 + x0 * w3 + x1 * w4 + x2 * w5;
        d1 = e1 + u10 * w3 + u11 * w4 + u12 * w5;
        d2 = e2 + u20 * w3 + u21 * w4 + u22 * w5;
        d3 = e3 + u30 * w3 + u31 * w4 + u32 * w5;
        e0 = b + x0 * w0 + x1 * w1 + x2 * w2;
        e1 = b + u10 * w0 + u11 * w1 + u12 * w2;
        e2 = b + u20 * w0 + u21 * w1 + u22 * w2;
        e3 = b + u30 * w0 + u31 * w1 + u32 * w2;
      }
      v0 = v4; v1 = v5; v2 = v6; v3 = v7; v4 = v8; v5 = v9;
      v6 = v10; v7 = v11; v8 = v12; v9 = v13; v10 = v14; v11 = v15;
      v12 = v16; v13 = v17; v14 = v18; v15 = v19; v16 = v20; v17 = v21;
      v18 = v22; v19 = v23; v20 = v24; v21 = v25; v22 = v26; v23 = v27;
      v24 = between(f0); v25 = between(f1); v26 = between(f2); v27 = between(f3);
    }

    // Each lane's depthwise values in turn; past the last channel the weights are zero.
    for (var q = 0u; q < min(8u, layer.in_c4 - k); q++) {
      let w0 = vec4<compute_t>(pointwise_weights[weight]); let w1 = vec4<compute_t>(pointwise_weights[weight + 8u]);
      let w2 = vec4<compute_t>(pointwise_weights[weight + 16u]); let w3 = vec4<compute_t>(pointwise_weights[weight + 24u]); weight += 32u;
      c0 = mad(c0, subgroupShuffle(v0, q), w0, w1, w2, w3);
      c1 = mad(c1, subgroupShuffle(v1, q), w0, w1, w2, w3);
      c2 = mad(c2, subgroupShuffle(v2, q), w0, w1, w2, w3);
      c3 = mad(c3, subgroupShuffle(v3, q), w0, w1, w2, w3);
      c4 = mad(c4, subgroupShuffle(v4, q), w0, w1, w2, w3);
      c5 = mad(c5, subgroupShuffle(v5, q), w0, w1, w2, w3);
      c6 = mad(c6, subgroupShuffle(v6, q), w0, w1, w2, w3);
      c7 = mad(c7, subgroupShuffle(v7, q), w0, w1, w2, w3);
      c8 = mad(c8, subgroupShuffle(v8, q), w0, w1, w2, w3);
      c9 = mad(c9, subgroupShuffle(v9, q), w0, w1, w2, w3);
      c10 = mad(c10, subgroupShuffle(v10, q), w0, w1, w2, w3);
      c11 = mad(c11, subgroupShuffle(v11, q), w0, w1, w2, w3);
      c12 = mad(c12, subgroupShuffle(v12, q), w0, w1, w2, w3);
      c13 = mad(c13, subgroupShuffle(v13, q), w0, w1, w2, w3);
      c14 = mad(c14, subgroupShuffle(v14, q), w0, w1, w2, w3);
      c15 = mad(c15, subgroupShuffle(v15, q), w0, w1, w2, w3);
      c16 = mad(c16, subgroupShuffle(v16, q), w0, w1, w2, w3);
      c17 = mad(c17, subgroupShuffle(v17, q), w0, w1, w2, w3);
      c18 = mad(c18, subgroupShuffle(v18, q), w0, w1, w2, w3);
      c19 = mad(c19, subgroupShuffle(v19, q), w0, w1, w2, w3);
      c20 = mad(c20, subgroupShuffle(v20, q), w0, w1, w2, w3);
      c21 = mad(c21, subgroupShuffle(v21, q), w0, w1, w2, w3);
      c22 = mad(c22, subgroupShuffle(v22, q), w0, w1, w2, w3);
      c23 = mad(c23, subgroupShuffle(v23, q), w0, w1, w2, w3);
      c24 = mad(c24, subgroupShuffle(v24, q), w0, w1, w2, w3);
      c25 = mad(c25, subgroupShuffle(v25, q), w0, w1, w2, w3);
      c26 = mad(c26, subgroupShuffle(v26, q), w0, w1, w2, w3);
      c27 = mad(c27, subgroupShuffle(v27, q), w0, w1, w2, w3);
    }
  }

  if (n >= layer.out_c4) { return; }
  // 4 store sites instead of 28: the accumulators move up 4 places a round.
  for (var r = 0u; r < min(layer.rounds, layer.out_height - y0); r++) {
    let row = (image * layer.out_height + y0 + r) * layer.out_width;
    store(x0, row, n, c0);
    store(x0 + 1u, row, n, c1);
    store(x0 + 2u, row, n, c2);
    store(x0 + 3u, row, n, c3);
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9;
    c6 = c10; c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15;
    c12 = c16; c13 = c17; c14 = c18; c15 = c19; c16 = c20; c17 = c21;
    c18 = c22; c19 = c23; c20 = c24; c21 = c25; c22 = c26; c23 = c27;
  }
}
