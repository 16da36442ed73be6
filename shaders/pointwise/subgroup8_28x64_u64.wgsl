// Pointwise (1x1) convolution for subgroups of 8, f32 only: twice as many channels a thread as `subgroup8_28_u64`.
//
// Bindings   as `subgroup8_28_u64`
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes 28 pixels x two tiles of 32 channels: what it loads of
//            the input serves both, 8 loads where `subgroup8_28_u64` takes 12. Dispatch (ceil(out_c4 / 16), ceil(pixels / 28), 1).
//            layer.rounds = 7: a loop bound the compiler cannot see, so that it does not unroll the stores.
// Where      Mesa's software Vulkan driver (llvmpipe) of version 22, layers of whole 64 output channels. Newer ones lose more with 56
//            accumulators than loads cost.

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
@group(0) @binding(1) var<storage, read> input: array<vec2<u64>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4<u64>>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<u64>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<u64>>;

// Channels 0 to 3 of a pixel.
fn quad(v: vec2<u64>) -> vec4<compute_t> {
  let even = bitcast<vec2<f32>>(vec2<u32>(v));
  let odd = bitcast<vec2<f32>>(vec2<u32>(v >> vec2<u32>(32u)));
  return vec4<compute_t>(even.x, odd.x, even.y, odd.y);
}
// Two channels a u64 again, the even one in its low half.
fn pairs(v: vec4<accum_t>) -> vec2<u64> {
  let bits = bitcast<vec4<u32>>(v);
  return vec2<u64>(bits.xz) | (vec2<u64>(bits.yw) << vec2<u32>(32u));
}
// Weights of an even input channel and of the one after it.
fn even_row(pair: vec4<u64>) -> vec4<compute_t> { return bitcast<vec4<f32>>(vec4<u32>(pair)); }
fn odd_row(pair: vec4<u64>) -> vec4<compute_t> { return bitcast<vec4<f32>>(vec4<u32>(pair >> vec4<u32>(32u))); }
// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

// Eight channels of a pixel; one past the end was computed from the last pixel's input, so it is the last pixel again.
fn store(pixel: u32, m: u32, c: vec4<accum_t>, d: vec4<accum_t>) {
  let at = min(pixel, layer.pixels - 1u) * (layer.out_c4 / 2u) + m;
  let low = vec4<accum_t>(accum_t(layer.low)); let high = vec4<accum_t>(accum_t(layer.high));
  var x = c; var y = d;
  if (layer.residual != 0u) { x += quad(residual[at].xy); y += quad(residual[at].zw); }
  output[at] = vec4<u64>(pairs(clamp(x, low, high)), pairs(clamp(y, low, high)));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let m = tile.x * 8u + lane;
  let pixel = tile.y * 28u;
  let last = layer.pixels - 1u;
  // Loading: lane l reads pixels l, 8 + l, 16 + l, 24 + l. Computing: lane l holds channel quads 2l (c) and 2l + 1 (d) of all 28 pixels.
  var i0 = min(pixel + lane, last) * layer.in_c4;
  var i1 = min(pixel + 8u + lane, last) * layer.in_c4;
  var i2 = min(pixel + 16u + lane, last) * layer.in_c4;
  var i3 = min(pixel + 24u + lane, last) * layer.in_c4;
  // Lanes 4 to 7 have the second tile of weights. Where there is none, they compute the first once more and store nothing.
  let second = select(0u, layer.in_c4 * 16u, lane >= 4u && tile.x * 16u + 8u < layer.out_c4);
  var j = tile.x * layer.in_c4 * 32u + second + (2u * lane & 7u);
  let b = vec4<accum_t>(bias[min(2u * m, layer.out_c4 - 1u)]);
  let e = vec4<accum_t>(bias[min(2u * m + 1u, layer.out_c4 - 1u)]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b;
  var c7 = b; var c8 = b; var c9 = b; var c10 = b; var c11 = b; var c12 = b; var c13 = b;
  var c14 = b; var c15 = b; var c16 = b; var c17 = b; var c18 = b; var c19 = b; var c20 = b;
  var c21 = b; var c22 = b; var c23 = b; var c24 = b; var c25 = b; var c26 = b; var c27 = b;
  var d0 = e; var d1 = e; var d2 = e; var d3 = e; var d4 = e; var d5 = e; var d6 = e;
  var d7 = e; var d8 = e; var d9 = e; var d10 = e; var d11 = e; var d12 = e; var d13 = e;
  var d14 = e; var d15 = e; var d16 = e; var d17 = e; var d18 = e; var d19 = e; var d20 = e;
  var d21 = e; var d22 = e; var d23 = e; var d24 = e; var d25 = e; var d26 = e; var d27 = e;

  // unused0 is 0.
  let s0 = layer.unused0 + 0u; let s1 = layer.unused0 + 1u; let s2 = layer.unused0 + 2u; let s3 = layer.unused0 + 3u;
  let s4 = layer.unused0 + 4u; let s5 = layer.unused0 + 5u; let s6 = layer.unused0 + 6u; let s7 = layer.unused0 + 7u;
  for (var k = 0u; k < layer.in_c4; k++) {
    let a0 = quad(input[i0]); i0 += 1u;
    let a1 = quad(input[i1]); i1 += 1u;
    let a2 = quad(input[i2]); i2 += 1u;
    let a3 = quad(input[i3]); i3 += 1u;
    let p0 = weights[j]; let p1 = weights[j + 8u];
    let w0 = even_row(p0); let w1 = odd_row(p0); let w2 = even_row(p1); let w3 = odd_row(p1);
    c0 = mad(c0, subgroupShuffle(a0, s0), w0, w1, w2, w3);
    c1 = mad(c1, subgroupShuffle(a0, s1), w0, w1, w2, w3);
    c2 = mad(c2, subgroupShuffle(a0, s2), w0, w1, w2, w3);
    c3 = mad(c3, subgroupShuffle(a0, s3), w0, w1, w2, w3);
    c4 = mad(c4, subgroupShuffle(a0, s4), w0, w1, w2, w3);
    c5 = mad(c5, subgroupShuffle(a0, s5), w0, w1, w2, w3);
    c6 = mad(c6, subgroupShuffle(a0, s6), w0, w1, w2, w3);
    c7 = mad(c7, subgroupShuffle(a0, s7), w0, w1, w2, w3);
    c8 = mad(c8, subgroupShuffle(a1, s0), w0, w1, w2, w3);
    c9 = mad(c9, subgroupShuffle(a1, s1), w0, w1, w2, w3);
    c10 = mad(c10, subgroupShuffle(a1, s2), w0, w1, w2, w3);
    c11 = mad(c11, subgroupShuffle(a1, s3), w0, w1, w2, w3);
    c12 = mad(c12, subgroupShuffle(a1, s4), w0, w1, w2, w3);
    c13 = mad(c13, subgroupShuffle(a1, s5), w0, w1, w2, w3);
    c14 = mad(c14, subgroupShuffle(a1, s6), w0, w1, w2, w3);
    c15 = mad(c15, subgroupShuffle(a1, s7), w0, w1, w2, w3);
    c16 = mad(c16, subgroupShuffle(a2, s0), w0, w1, w2, w3);
    c17 = mad(c17, subgroupShuffle(a2, s1), w0, w1, w2, w3);
    c18 = mad(c18, subgroupShuffle(a2, s2), w0, w1, w2, w3);
    c19 = mad(c19, subgroupShuffle(a2, s3), w0, w1, w2, w3);
    c20 = mad(c20, subgroupShuffle(a2, s4), w0, w1, w2, w3);
    c21 = mad(c21, subgroupShuffle(a2, s5), w0, w1, w2, w3);
    c22 = mad(c22, subgroupShuffle(a2, s6), w0, w1, w2, w3);
    c23 = mad(c23, subgroupShuffle(a2, s7), w0, w1, w2, w3);
    c24 = mad(c24, subgroupShuffle(a3, s0), w0, w1, w2, w3);
    c25 = mad(c25, subgroupShuffle(a3, s1), w0, w1, w2, w3);
    c26 = mad(c26, subgroupShuffle(a3, s2), w0, w1, w2, w3);
    c27 = mad(c27, subgroupShuffle(a3, s3), w0, w1, w2, w3);
    let q0 = weights[j + 1u]; let q1 = weights[j + 9u]; j += 16u;
    let x0 = even_row(q0); let x1 = odd_row(q0); let x2 = even_row(q1); let x3 = odd_row(q1);
    d0 = mad(d0, subgroupShuffle(a0, s0), x0, x1, x2, x3);
    d1 = mad(d1, subgroupShuffle(a0, s1), x0, x1, x2, x3);
    d2 = mad(d2, subgroupShuffle(a0, s2), x0, x1, x2, x3);
    d3 = mad(d3, subgroupShuffle(a0, s3), x0, x1, x2, x3);
    d4 = mad(d4, subgroupShuffle(a0, s4), x0, x1, x2, x3);
    d5 = mad(d5, subgroupShuffle(a0, s5), x0, x1, x2, x3);
    d6 = mad(d6, subgroupShuffle(a0, s6), x0, x1, x2, x3);
    d7 = mad(d7, subgroupShuffle(a0, s7), x0, x1, x2, x3);
    d8 = mad(d8, subgroupShuffle(a1, s0), x0, x1, x2, x3);
    d9 = mad(d9, subgroupShuffle(a1, s1), x0, x1, x2, x3);
    d10 = mad(d10, subgroupShuffle(a1, s2), x0, x1, x2, x3);
    d11 = mad(d11, subgroupShuffle(a1, s3), x0, x1, x2, x3);
    d12 = mad(d12, subgroupShuffle(a1, s4), x0, x1, x2, x3);
    d13 = mad(d13, subgroupShuffle(a1, s5), x0, x1, x2, x3);
    d14 = mad(d14, subgroupShuffle(a1, s6), x0, x1, x2, x3);
    d15 = mad(d15, subgroupShuffle(a1, s7), x0, x1, x2, x3);
    d16 = mad(d16, subgroupShuffle(a2, s0), x0, x1, x2, x3);
    d17 = mad(d17, subgroupShuffle(a2, s1), x0, x1, x2, x3);
    d18 = mad(d18, subgroupShuffle(a2, s2), x0, x1, x2, x3);
    d19 = mad(d19, subgroupShuffle(a2, s3), x0, x1, x2, x3);
    d20 = mad(d20, subgroupShuffle(a2, s4), x0, x1, x2, x3);
    d21 = mad(d21, subgroupShuffle(a2, s5), x0, x1, x2, x3);
    d22 = mad(d22, subgroupShuffle(a2, s6), x0, x1, x2, x3);
    d23 = mad(d23, subgroupShuffle(a2, s7), x0, x1, x2, x3);
    d24 = mad(d24, subgroupShuffle(a3, s0), x0, x1, x2, x3);
    d25 = mad(d25, subgroupShuffle(a3, s1), x0, x1, x2, x3);
    d26 = mad(d26, subgroupShuffle(a3, s2), x0, x1, x2, x3);
    d27 = mad(d27, subgroupShuffle(a3, s3), x0, x1, x2, x3);
  }

  if (m >= layer.out_c4 / 2u) { return; }
  // 4 store sites instead of 28: the accumulators move up 4 places a round.
  for (var r = 0u; r < layer.rounds; r++) {
    store(pixel + 4u * r, m, c0, d0);
    store(pixel + 4u * r + 1u, m, c1, d1);
    store(pixel + 4u * r + 2u, m, c2, d2);
    store(pixel + 4u * r + 3u, m, c3, d3);
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10;
    c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15; c12 = c16; c13 = c17;
    c14 = c18; c15 = c19; c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24;
    c21 = c25; c22 = c26; c23 = c27;
    d0 = d4; d1 = d5; d2 = d6; d3 = d7; d4 = d8; d5 = d9; d6 = d10;
    d7 = d11; d8 = d12; d9 = d13; d10 = d14; d11 = d15; d12 = d16; d13 = d17;
    d14 = d18; d15 = d19; d16 = d20; d17 = d21; d18 = d22; d19 = d23; d20 = d24;
    d21 = d25; d22 = d26; d23 = d27;
  }
}
