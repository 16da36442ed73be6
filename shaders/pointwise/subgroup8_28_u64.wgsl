// Pointwise (1x1) convolution for subgroups of 8, f32 only: as subgroup8_28, but with loads and stores of 64 bits.
//
// Bindings   input [pixels][in_c4], weights [tile][2 in_c4][8] (a tile is 32 output channels, one
//            stream from end to end; zeros past the last channel; each u64 has the weight of an even input channel in its low half,
//            of the next one in its high half), bias [out_c4], residual as output (any buffer if layer.residual = 0),
//            output [pixels][out_c4]; a quad is a vec2<u64>
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes a tile of 28 pixels x 32 channels.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 28), 1). layer.rounds = 7: a loop bound the compiler cannot see, so
//            that it does not unroll the stores (compile time there is load and store sites).
//            Loops test at their end: llvmpipe (25) runs the body of one that tests first once more, masked.
// Where      Mesa's software Vulkan driver (llvmpipe): it loads lane by lane and value by value, each behind branches for the mask and the
//            bounds, so that half of the twin's time is loads and stores; of 64 bits it needs half as many. Never on the web, which has no
//            64-bit integers.

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
@group(0) @binding(2) var<storage, read_write> output: array<vec2<u64>>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<u64>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> residual: array<vec2<u64>>;

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

// Where a quad of a pixel stands; a pixel past the end was computed from the last pixel's input, so it is the last pixel again.
fn place(pixel: u32, n: u32) -> u32 { return min(pixel, layer.pixels - 1u) * layer.out_c4 + n; }

fn store(pixel: u32, n: u32, v: vec4<accum_t>) {
  output[place(pixel, n)] = pairs(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let n = tile.x * 8u + lane;
  let pixel = tile.y * 28u;
  let last = layer.pixels - 1u;
  // Loading: lane l reads pixels l, 8 + l, 16 + l, 24 + l. Computing: lane l holds channel quad l of all 28 pixels.
  var i0 = min(pixel + lane, last) * layer.in_c4;
  var i1 = min(pixel + 8u + lane, last) * layer.in_c4;
  var i2 = min(pixel + 16u + lane, last) * layer.in_c4;
  var i3 = min(pixel + 24u + lane, last) * layer.in_c4;
  var j = tile.x * layer.in_c4 * 16u + lane;
  let b = vec4<accum_t>(bias[min(n, layer.out_c4 - 1u)]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b;
  var c7 = b; var c8 = b; var c9 = b; var c10 = b; var c11 = b; var c12 = b; var c13 = b;
  var c14 = b; var c15 = b; var c16 = b; var c17 = b; var c18 = b; var c19 = b; var c20 = b;
  var c21 = b; var c22 = b; var c23 = b; var c24 = b; var c25 = b; var c26 = b; var c27 = b;

  var k = 0u;
  loop {
    let a0 = quad(input[i0]); i0 += 1u;
    let a1 = quad(input[i1]); i1 += 1u;
    let a2 = quad(input[i2]); i2 += 1u;
    let a3 = quad(input[i3]); i3 += 1u;
    let p0 = weights[j]; let p1 = weights[j + 8u]; j += 16u;
    let w0 = even_row(p0); let w1 = odd_row(p0); let w2 = even_row(p1); let w3 = odd_row(p1);
    c0 = mad(c0, subgroupBroadcast(a0, 0u), w0, w1, w2, w3);
    c1 = mad(c1, subgroupBroadcast(a0, 1u), w0, w1, w2, w3);
    c2 = mad(c2, subgroupBroadcast(a0, 2u), w0, w1, w2, w3);
    c3 = mad(c3, subgroupBroadcast(a0, 3u), w0, w1, w2, w3);
    c4 = mad(c4, subgroupBroadcast(a0, 4u), w0, w1, w2, w3);
    c5 = mad(c5, subgroupBroadcast(a0, 5u), w0, w1, w2, w3);
    c6 = mad(c6, subgroupBroadcast(a0, 6u), w0, w1, w2, w3);
    c7 = mad(c7, subgroupBroadcast(a0, 7u), w0, w1, w2, w3);
    c8 = mad(c8, subgroupBroadcast(a1, 0u), w0, w1, w2, w3);
    c9 = mad(c9, subgroupBroadcast(a1, 1u), w0, w1, w2, w3);
    c10 = mad(c10, subgroupBroadcast(a1, 2u), w0, w1, w2, w3);
    c11 = mad(c11, subgroupBroadcast(a1, 3u), w0, w1, w2, w3);
    c12 = mad(c12, subgroupBroadcast(a1, 4u), w0, w1, w2, w3);
    c13 = mad(c13, subgroupBroadcast(a1, 5u), w0, w1, w2, w3);
    c14 = mad(c14, subgroupBroadcast(a1, 6u), w0, w1, w2, w3);
    c15 = mad(c15, subgroupBroadcast(a1, 7u), w0, w1, w2, w3);
    c16 = mad(c16, subgroupBroadcast(a2, 0u), w0, w1, w2, w3);
    c17 = mad(c17, subgroupBroadcast(a2, 1u), w0, w1, w2, w3);
    c18 = mad(c18, subgroupBroadcast(a2, 2u), w0, w1, w2, w3);
    c19 = mad(c19, subgroupBroadcast(a2, 3u), w0, w1, w2, w3);
    c20 = mad(c20, subgroupBroadcast(a2, 4u), w0, w1, w2, w3);
    c21 = mad(c21, subgroupBroadcast(a2, 5u), w0, w1, w2, w3);
    c22 = mad(c22, subgroupBroadcast(a2, 6u), w0, w1, w2, w3);
    c23 = mad(c23, subgroupBroadcast(a2, 7u), w0, w1, w2, w3);
    c24 = mad(c24, subgroupBroadcast(a3, 0u), w0, w1, w2, w3);
    c25 = mad(c25, subgroupBroadcast(a3, 1u), w0, w1, w2, w3);
    c26 = mad(c26, subgroupBroadcast(a3, 2u), w0, w1, w2, w3);
    c27 = mad(c27, subgroupBroadcast(a3, 3u), w0, w1, w2, w3);
    continuing { k += 1u; break if k >= layer.in_c4; }
  }

  if (n >= layer.out_c4) { return; }
  // The residual in a loop of its own, in which the accumulators go round once: llvmpipe walks through what a branch leaves out, masked,
  // and so would for every store of a layer that has none.
  var q = select(layer.rounds, 0u, layer.residual != 0u);
  loop {
    if (q >= layer.rounds) { break; }
    let at = pixel + 4u * q;
    let t0 = c0 + quad(residual[place(at, n)]);
    let t1 = c1 + quad(residual[place(at + 1u, n)]);
    let t2 = c2 + quad(residual[place(at + 2u, n)]);
    let t3 = c3 + quad(residual[place(at + 3u, n)]);
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10;
    c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15; c12 = c16; c13 = c17;
    c14 = c18; c15 = c19; c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24;
    c21 = c25; c22 = c26; c23 = c27; c24 = t0; c25 = t1; c26 = t2; c27 = t3;
    q += 1u;
  }
  // 4 store sites instead of 28: the accumulators move up 4 places a round.
  var r = 0u;
  loop {
    store(pixel + 4u * r, n, c0);
    store(pixel + 4u * r + 1u, n, c1);
    store(pixel + 4u * r + 2u, n, c2);
    store(pixel + 4u * r + 3u, n, c3);
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10;
    c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15; c12 = c16; c13 = c17;
    c14 = c18; c15 = c19; c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24;
    c21 = c25; c22 = c26; c23 = c27;
    continuing { r += 1u; break if r >= layer.rounds; }
  }
}
