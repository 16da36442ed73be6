// The stem for subgroups of 8, f32 only: twice as many pixels a thread as the built-in kernel, so a weight that is loaded serves 28,
// and, as there, loads and stores of 64 bits, of which a quad of channels is two. (llvmpipe moves them lane by lane and value by value.)
// It is for up to three input channels: with more than four, `2 - in_c4` is 0, and so are its workgroups.
//
// lab: op = convolution
// lab: workgroups = ceil(out_c4, 8) * min(1, 2 - in_c4), ceil(pixels, 28)
// lab: packing = rows

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
@group(0) @binding(3) var<storage, read> weights: array<vec2<u64>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;

fn quad(v: vec2<u64>) -> vec4<f32> {
  let even = bitcast<vec2<f32>>(vec2<u32>(v));
  let odd = bitcast<vec2<f32>>(vec2<u32>(v >> vec2<u32>(32u)));
  return vec4<f32>(even.x, odd.x, even.y, odd.y);
}

fn pairs(v: vec4<f32>) -> vec2<u64> {
  let bits = bitcast<vec4<u32>>(v);
  return vec2<u64>(bits.xz) | (vec2<u64>(bits.yw) << vec2<u32>(32u));
}

// Red, green and blue of one pixel times their weight rows.
fn mad(sum: vec4<f32>, x: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>) -> vec4<f32> {
  return sum + (x.x * w0 + x.y * w1 + x.z * w2);
}

// Where a pixel's first tap is: column, row, and the row in which its picture begins.
fn place(pixel: u32) -> vec3<i32> {
  let p = min(pixel, layer.pixels - 1u);
  let q = p % (layer.out_width * layer.out_height);
  return vec3<i32>(i32(q % layer.out_width * layer.stride) - i32(layer.pad_left),
    i32(q / layer.out_width * layer.stride) - i32(layer.pad_top), i32(p / (layer.out_width * layer.out_height) * layer.in_height));
}

// The input under a tap; zero outside the picture.
fn texel(first: vec3<i32>, kx: i32, ky: i32) -> vec4<f32> {
  let w = i32(layer.in_width); let h = i32(layer.in_height);
  let x = first.x + kx; let y = first.y + ky;
  let v = quad(input[(first.z + clamp(y, 0, h - 1)) * w + clamp(x, 0, w - 1)]);
  return select(vec4<f32>(), v, x >= 0 && y >= 0 && x < w && y < h);
}

fn store(pixel: u32, n: u32, v: vec4<f32>) {
  output[min(pixel, layer.pixels - 1u) * layer.out_c4 + n] = pairs(clamp(v, vec4<f32>(layer.low), vec4<f32>(layer.high)));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let n = min(tile.x * 8u + lane, layer.out_c4 - 1u);
  let pixel = tile.y * 28u;
  let p0 = place(pixel + lane); let p1 = place(pixel + 8u + lane);
  let p2 = place(pixel + 16u + lane); let p3 = place(pixel + 24u + lane);
  let b = bias[n];
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b;
  var c7 = b; var c8 = b; var c9 = b; var c10 = b; var c11 = b; var c12 = b; var c13 = b;
  var c14 = b; var c15 = b; var c16 = b; var c17 = b; var c18 = b; var c19 = b; var c20 = b;
  var c21 = b; var c22 = b; var c23 = b; var c24 = b; var c25 = b; var c26 = b; var c27 = b;
  var kx = 0;
  var ky = 0;
  var j = n;
  loop {
    let a0 = texel(p0, kx, ky); let a1 = texel(p1, kx, ky); let a2 = texel(p2, kx, ky); let a3 = texel(p3, kx, ky);
    let w0 = quad(weights[j]); let w1 = quad(weights[j + layer.out_c4]); let w2 = quad(weights[j + 2u * layer.out_c4]);
    c0 = mad(c0, subgroupBroadcast(a0, 0u), w0, w1, w2);
    c1 = mad(c1, subgroupBroadcast(a0, 1u), w0, w1, w2);
    c2 = mad(c2, subgroupBroadcast(a0, 2u), w0, w1, w2);
    c3 = mad(c3, subgroupBroadcast(a0, 3u), w0, w1, w2);
    c4 = mad(c4, subgroupBroadcast(a0, 4u), w0, w1, w2);
    c5 = mad(c5, subgroupBroadcast(a0, 5u), w0, w1, w2);
    c6 = mad(c6, subgroupBroadcast(a0, 6u), w0, w1, w2);
    c7 = mad(c7, subgroupBroadcast(a0, 7u), w0, w1, w2);
    c8 = mad(c8, subgroupBroadcast(a1, 0u), w0, w1, w2);
    c9 = mad(c9, subgroupBroadcast(a1, 1u), w0, w1, w2);
    c10 = mad(c10, subgroupBroadcast(a1, 2u), w0, w1, w2);
    c11 = mad(c11, subgroupBroadcast(a1, 3u), w0, w1, w2);
    c12 = mad(c12, subgroupBroadcast(a1, 4u), w0, w1, w2);
    c13 = mad(c13, subgroupBroadcast(a1, 5u), w0, w1, w2);
    c14 = mad(c14, subgroupBroadcast(a1, 6u), w0, w1, w2);
    c15 = mad(c15, subgroupBroadcast(a1, 7u), w0, w1, w2);
    c16 = mad(c16, subgroupBroadcast(a2, 0u), w0, w1, w2);
    c17 = mad(c17, subgroupBroadcast(a2, 1u), w0, w1, w2);
    c18 = mad(c18, subgroupBroadcast(a2, 2u), w0, w1, w2);
    c19 = mad(c19, subgroupBroadcast(a2, 3u), w0, w1, w2);
    c20 = mad(c20, subgroupBroadcast(a2, 4u), w0, w1, w2);
    c21 = mad(c21, subgroupBroadcast(a2, 5u), w0, w1, w2);
    c22 = mad(c22, subgroupBroadcast(a2, 6u), w0, w1, w2);
    c23 = mad(c23, subgroupBroadcast(a2, 7u), w0, w1, w2);
    c24 = mad(c24, subgroupBroadcast(a3, 0u), w0, w1, w2);
    c25 = mad(c25, subgroupBroadcast(a3, 1u), w0, w1, w2);
    c26 = mad(c26, subgroupBroadcast(a3, 2u), w0, w1, w2);
    c27 = mad(c27, subgroupBroadcast(a3, 3u), w0, w1, w2);
    continuing {
      kx += 1; j += 4u * layer.out_c4;
      if (kx == i32(layer.kernel_width)) { kx = 0; ky += 1; }
      break if ky >= i32(layer.kernel_height);
    }
  }
  // 4 store sites instead of 28: the sums move up 4 places a turn, 7 times. (A field that is 0 hides the bound from the compiler,
  // which would write the loop out.)
  var r = 0u;
  loop {
    store(pixel + 4u * r, n, c0); store(pixel + 4u * r + 1u, n, c1); store(pixel + 4u * r + 2u, n, c2); store(pixel + 4u * r + 3u, n, c3);
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10; c7 = c11; c8 = c12; c9 = c13; c10 = c14; c11 = c15;
    c12 = c16; c13 = c17; c14 = c18; c15 = c19; c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24; c21 = c25; c22 = c26; c23 = c27;
    continuing { r += 1u; break if r >= 7u + layer.unused0; }
  }
}
