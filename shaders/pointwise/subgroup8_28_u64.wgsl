// Pointwise (1x1) convolution for subgroups of 8, f32 only, an even number of output quads: as subgroup8_28, but with loads and
// stores of 64 bits.
//
// Bindings   input [pixels][in_c4], weights [tile][2 in_c4][8] (a tile is 32 output channels, one
//            stream from end to end; zeros past the last channel; each u64 has the weight of an even input channel in its low half,
//            of the next one in its high half), bias [out_c4], residual as output (any buffer if layer.residual = 0),
//            output [pixels][out_c4 / 2]: a vec2<u64> is four channels of a pixel, a vec4<u64> eight
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes a tile of 28 pixels x 32 channels.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 28), 1). layer.rounds = 7: a loop bound the compiler cannot see, so
//            that it does not unroll the stores (compile time there is load and store sites).
//            Loops test at their end: llvmpipe (25) runs the body of one that tests first once more, masked.
//            Lanes are read by subgroupShuffle with indices that the compiler does not know: one instruction (vpermd), where
//            subgroupBroadcast of a lane that it knows is two. Before they are stored, two lanes exchange the halves of two pixels,
//            so that each stores eight channels of one.
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

  // unused0 is 0.
  let s0 = layer.unused0 + 0u; let s1 = layer.unused0 + 1u; let s2 = layer.unused0 + 2u; let s3 = layer.unused0 + 3u;
  let s4 = layer.unused0 + 4u; let s5 = layer.unused0 + 5u; let s6 = layer.unused0 + 6u; let s7 = layer.unused0 + 7u;

  var k = 0u;
  loop {
    let a0 = quad(input[i0]); i0 += 1u;
    let a1 = quad(input[i1]); i1 += 1u;
    let a2 = quad(input[i2]); i2 += 1u;
    let a3 = quad(input[i3]); i3 += 1u;
    let p0 = weights[j]; let p1 = weights[j + 8u]; j += 16u;
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
    continuing { k += 1u; break if k >= layer.in_c4; }
  }

  // Lanes 2m and 2m + 1 hold the quads 2m and 2m + 1 of every pixel. From here on the first has both of the even pixels, the second of
  // the odd ones.
  let first = (lane & 1u) == 0u;
  let other = lane ^ 1u;
  let out_c8 = layer.out_c4 / 2u;
  let m = n / 2u;
  if (m >= out_c8) { return; }
  let begin = pixel + (lane & 1u);
  // The residual in a loop of its own, in which the accumulators go round once: llvmpipe of version 22 walks through what a branch leaves
  // out, masked, and so would for every store of a layer that has none; this way it is one turn. Newer ones jump over the branch.
  var q = select(layer.rounds, 0u, layer.residual != 0u);
  if (layer.residual != 0u) {
    loop {
      if (q >= layer.rounds) { break; }
      // A pixel past the end was computed from the last pixel's input, so it is the last pixel again.
      let r0 = residual[min(begin + 4u * q, last) * out_c8 + m]; let l0 = quad(r0.xy); let h0 = quad(r0.zw);
      let r1 = residual[min(begin + 4u * q + 2u, last) * out_c8 + m]; let l1 = quad(r1.xy); let h1 = quad(r1.zw);
      let x0 = subgroupShuffle(select(l0, h0, first), other);
      let x1 = subgroupShuffle(select(l1, h1, first), other);
      let t0 = c0 + select(x0, l0, first); let t1 = c1 + select(h0, x0, first);
      let t2 = c2 + select(x1, l1, first); let t3 = c3 + select(h1, x1, first);
      c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10;
      c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15; c12 = c16; c13 = c17;
      c14 = c18; c15 = c19; c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24;
      c21 = c25; c22 = c26; c23 = c27; c24 = t0; c25 = t1; c26 = t2; c27 = t3;
      q += 1u;
    }
  }
  // 2 store sites instead of 14: the accumulators move up 4 places a round.
  let low = vec4<accum_t>(accum_t(layer.low)); let high = vec4<accum_t>(accum_t(layer.high));
  var r = 0u;
  loop {
    let k0 = select(c1, c0, first); let x0 = subgroupShuffle(select(c0, c1, first), other);
    let k1 = select(c3, c2, first); let x1 = subgroupShuffle(select(c2, c3, first), other);
    output[min(begin + 4u * r, last) * out_c8 + m] =
      vec4<u64>(pairs(clamp(select(x0, k0, first), low, high)), pairs(clamp(select(k0, x0, first), low, high)));
    output[min(begin + 4u * r + 2u, last) * out_c8 + m] =
      vec4<u64>(pairs(clamp(select(x1, k1, first), low, high)), pairs(clamp(select(k1, x1, first), low, high)));
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10;
    c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15; c12 = c16; c13 = c17;
    c14 = c18; c15 = c19; c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24;
    c21 = c25; c22 = c26; c23 = c27;
    continuing { r += 1u; break if r >= layer.rounds; }
  }
}
