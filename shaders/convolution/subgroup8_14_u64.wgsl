// Convolution of up to three input channels (the stem) for subgroups of 8, f32 only, an even number of output quads: as subgroup8_14, but
// with loads and stores of 64 bits.
//
// Bindings   as subgroup8_14; a quad of channels in input and weights is a vec2<u64>, eight channels of the output a vec4<u64>
// Mapping    as subgroup8_14. Lanes are read, and stored, as in pointwise/subgroup8_28_u64.
// Where      Mesa's software Vulkan driver (llvmpipe). Never on the web, which has no 64-bit integers.

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
@group(0) @binding(3) var<storage, read> weights: array<vec2<u64>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<storage_t>>;

// Four channels.
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

// Red, green and blue of one pixel times their weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2);
}

// Where a pixel's first tap is: column, row, and the row in which its picture begins.
fn place(pixel: u32) -> vec3<i32> {
  let p = min(pixel, layer.pixels - 1u);
  let size = layer.out_width * layer.out_height;
  let q = p % size;
  return vec3<i32>(i32(q % layer.out_width * layer.stride) - i32(layer.pad_left),
                   i32(q / layer.out_width * layer.stride) - i32(layer.pad_top), i32(p / size * layer.in_height));
}

// The input under a tap; zero outside the picture.
fn texel(first: vec3<i32>, kx: i32, ky: i32) -> vec4<compute_t> {
  let w = i32(layer.in_width); let h = i32(layer.in_height);
  let x = first.x + kx; let y = first.y + ky;
  let v = quad(input[(first.z + clamp(y, 0, h - 1)) * w + clamp(x, 0, w - 1)]);
  return select(vec4<compute_t>(), v, x >= 0 && y >= 0 && x < w && y < h);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let n = min(tile.x * 8u + lane, layer.out_c4 - 1u);
  let pixel = tile.y * 14u;
  let p0 = place(pixel + lane);
  let p1 = place(pixel + 8u + lane);
  let b = vec4<accum_t>(bias[n]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b;
  var c7 = b; var c8 = b; var c9 = b; var c10 = b; var c11 = b; var c12 = b; var c13 = b;
  // unused0 is 0.
  let s0 = layer.unused0 + 0u; let s1 = layer.unused0 + 1u; let s2 = layer.unused0 + 2u; let s3 = layer.unused0 + 3u;
  let s4 = layer.unused0 + 4u; let s5 = layer.unused0 + 5u; let s6 = layer.unused0 + 6u; let s7 = layer.unused0 + 7u;
  var kx = 0;
  var ky = 0;
  var j = n;
  loop {
    let a0 = texel(p0, kx, ky);
    let a1 = texel(p1, kx, ky);
    let w0 = quad(weights[j]); let w1 = quad(weights[j + layer.out_c4]);
    let w2 = quad(weights[j + 2u * layer.out_c4]);
    c0 = mad(c0, subgroupShuffle(a0, s0), w0, w1, w2);
    c1 = mad(c1, subgroupShuffle(a0, s1), w0, w1, w2);
    c2 = mad(c2, subgroupShuffle(a0, s2), w0, w1, w2);
    c3 = mad(c3, subgroupShuffle(a0, s3), w0, w1, w2);
    c4 = mad(c4, subgroupShuffle(a0, s4), w0, w1, w2);
    c5 = mad(c5, subgroupShuffle(a0, s5), w0, w1, w2);
    c6 = mad(c6, subgroupShuffle(a0, s6), w0, w1, w2);
    c7 = mad(c7, subgroupShuffle(a0, s7), w0, w1, w2);
    c8 = mad(c8, subgroupShuffle(a1, s0), w0, w1, w2);
    c9 = mad(c9, subgroupShuffle(a1, s1), w0, w1, w2);
    c10 = mad(c10, subgroupShuffle(a1, s2), w0, w1, w2);
    c11 = mad(c11, subgroupShuffle(a1, s3), w0, w1, w2);
    c12 = mad(c12, subgroupShuffle(a1, s4), w0, w1, w2);
    c13 = mad(c13, subgroupShuffle(a1, s5), w0, w1, w2);
    continuing {
      kx += 1; j += 4u * layer.out_c4;
      if (kx == i32(layer.kernel_width)) { kx = 0; ky += 1; }
      break if ky >= i32(layer.kernel_height);
    }
  }
  // Lanes 2m and 2m + 1 hold the quads 2m and 2m + 1 of every pixel: the first stores both of the even pixels, the second of the odd ones.
  let m = (tile.x * 8u + lane) / 2u;
  if (m >= layer.out_c4 / 2u) { return; }
  let first = (lane & 1u) == 0u;
  let low = vec4<accum_t>(accum_t(layer.low)); let high = vec4<accum_t>(accum_t(layer.high));
  var r = 0u;
  loop {
    let k = select(c1, c0, first); let x = subgroupShuffle(select(c0, c1, first), lane ^ 1u);
    output[min(pixel + 2u * r + (lane & 1u), layer.pixels - 1u) * (layer.out_c4 / 2u) + m] =
      vec4<u64>(pairs(clamp(select(x, k, first), low, high)), pairs(clamp(select(k, x, first), low, high)));
    c0 = c2; c1 = c3; c2 = c4; c3 = c5; c4 = c6; c5 = c7; c6 = c8;
    c7 = c9; c8 = c10; c9 = c11; c10 = c12; c11 = c13;
    continuing { r += 1u; break if r >= layer.rounds; }
  }
}
