// Convolution of up to three input channels (the stem) for subgroups of 8: lanes gather different pixels and pass them round.
//
// Bindings   input [batch][in_height][in_width] (one vec4: red, green, blue, 0), weights [kernel_height][kernel_width][4][out_c4],
//            bias [out_c4], output [pixels][out_c4]
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes 14 pixels x 32 channels.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 14), 1). layer.rounds = 7: a loop bound that the compiler cannot see.
//            One loop walks the taps and tests at its end: llvmpipe runs the body of one that tests first once more, masked, which
//            doubled the work of three loops inside each other.
// Where      Mesa's software Vulkan driver (llvmpipe), whose subgroups are 8 wide.

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

// Red, green and blue of one pixel times their weight rows, added one by one: the first layer is where f16 shows most.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0) + vec4<accum_t>(x.y * w1) + vec4<accum_t>(x.z * w2);
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
  let v = vec4<compute_t>(input[(first.z + clamp(y, 0, h - 1)) * w + clamp(x, 0, w - 1)]);
  return select(vec4<compute_t>(), v, x >= 0 && y >= 0 && x < w && y < h);
}

fn store(pixel: u32, n: u32, v: vec4<accum_t>) {
  output[min(pixel, layer.pixels - 1u) * layer.out_c4 + n] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
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
  var kx = 0;
  var ky = 0;
  var j = n;
  loop {
    let a0 = texel(p0, kx, ky);
    let a1 = texel(p1, kx, ky);
    let w0 = vec4<compute_t>(weights[j]); let w1 = vec4<compute_t>(weights[j + layer.out_c4]);
    let w2 = vec4<compute_t>(weights[j + 2u * layer.out_c4]);
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
    continuing {
      kx += 1; j += 4u * layer.out_c4;
      if (kx == i32(layer.kernel_width)) { kx = 0; ky += 1; }
      break if ky >= i32(layer.kernel_height);
    }
  }
  var r = 0u;
  loop {
    store(pixel + 2u * r, n, c0);
    store(pixel + 2u * r + 1u, n, c1);
    c0 = c2; c1 = c3; c2 = c4; c3 = c5; c4 = c6; c5 = c7; c6 = c8;
    c7 = c9; c8 = c10; c9 = c11; c10 = c12; c11 = c13;
    continuing { r += 1u; break if r >= layer.rounds; }
  }
}
