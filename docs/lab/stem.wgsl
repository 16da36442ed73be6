// The stem for subgroups of 8, twice as many pixels a thread as the built-in kernel: a weight that is loaded serves 28 pixels.
// It is for up to four input channels: with more, `2 - in_c4` is 0, and so are its workgroups.
//
// lab: op = convolution
// lab: workgroups = ceil(out_c4, 8) * min(1, 2 - in_c4), ceil(pixels, 28)
// lab: packing = rows

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

fn texel(image: i32, x: i32, y: i32) -> vec4<compute_t> {
  let w = i32(layer.in_width); let h = i32(layer.in_height);
  let inside = select(compute_t(0.0), compute_t(1.0), x >= 0 && y >= 0 && x < w && y < h);
  return vec4<compute_t>(input[(image * h + clamp(y, 0, h - 1)) * w + clamp(x, 0, w - 1)]) * inside;
}

fn store(pixel: u32, n: u32, v: vec4<accum_t>) {
  output[min(pixel, layer.pixels - 1u) * layer.out_c4 + n] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

// Where a pixel's input begins: its column, row and picture.
fn corner(pixel: u32) -> vec3<i32> {
  let p = min(pixel, layer.pixels - 1u);
  let q = p % (layer.out_width * layer.out_height);
  return vec3<i32>(i32(q % layer.out_width * layer.stride) - i32(layer.pad_left),
    i32(q / layer.out_width * layer.stride) - i32(layer.pad_top), i32(p / (layer.out_width * layer.out_height)));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let n = min(tile.x * 8u + lane, layer.out_c4 - 1u);
  let pixel = tile.y * 28u;
  let p0 = corner(pixel + lane); let p1 = corner(pixel + 8u + lane);
  let p2 = corner(pixel + 16u + lane); let p3 = corner(pixel + 24u + lane);
  let b = vec4<accum_t>(bias[n]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b;
  var c7 = b; var c8 = b; var c9 = b; var c10 = b; var c11 = b; var c12 = b; var c13 = b;
  var c14 = b; var c15 = b; var c16 = b; var c17 = b; var c18 = b; var c19 = b; var c20 = b;
  var c21 = b; var c22 = b; var c23 = b; var c24 = b; var c25 = b; var c26 = b; var c27 = b;
  var j = n;
  for (var ky = 0; ky < i32(layer.kernel_height); ky++) {
    for (var kx = 0; kx < i32(layer.kernel_width); kx++) {
      var a0 = texel(p0.z, p0.x + kx, p0.y + ky); var a1 = texel(p1.z, p1.x + kx, p1.y + ky);
      var a2 = texel(p2.z, p2.x + kx, p2.y + ky); var a3 = texel(p3.z, p3.x + kx, p3.y + ky);
      // Three colours; the sum with a field that is 0 hides the bound from the compiler, which would write the loop out.
      for (var colour = 0u; colour < 3u + layer.unused0; colour++) {
        let w = vec4<compute_t>(weights[j + colour * layer.out_c4]);
        c0 += vec4<accum_t>(subgroupBroadcast(a0.x, 0u) * w);
        c1 += vec4<accum_t>(subgroupBroadcast(a0.x, 1u) * w);
        c2 += vec4<accum_t>(subgroupBroadcast(a0.x, 2u) * w);
        c3 += vec4<accum_t>(subgroupBroadcast(a0.x, 3u) * w);
        c4 += vec4<accum_t>(subgroupBroadcast(a0.x, 4u) * w);
        c5 += vec4<accum_t>(subgroupBroadcast(a0.x, 5u) * w);
        c6 += vec4<accum_t>(subgroupBroadcast(a0.x, 6u) * w);
        c7 += vec4<accum_t>(subgroupBroadcast(a0.x, 7u) * w);
        c8 += vec4<accum_t>(subgroupBroadcast(a1.x, 0u) * w);
        c9 += vec4<accum_t>(subgroupBroadcast(a1.x, 1u) * w);
        c10 += vec4<accum_t>(subgroupBroadcast(a1.x, 2u) * w);
        c11 += vec4<accum_t>(subgroupBroadcast(a1.x, 3u) * w);
        c12 += vec4<accum_t>(subgroupBroadcast(a1.x, 4u) * w);
        c13 += vec4<accum_t>(subgroupBroadcast(a1.x, 5u) * w);
        c14 += vec4<accum_t>(subgroupBroadcast(a1.x, 6u) * w);
        c15 += vec4<accum_t>(subgroupBroadcast(a1.x, 7u) * w);
        c16 += vec4<accum_t>(subgroupBroadcast(a2.x, 0u) * w);
        c17 += vec4<accum_t>(subgroupBroadcast(a2.x, 1u) * w);
        c18 += vec4<accum_t>(subgroupBroadcast(a2.x, 2u) * w);
        c19 += vec4<accum_t>(subgroupBroadcast(a2.x, 3u) * w);
        c20 += vec4<accum_t>(subgroupBroadcast(a2.x, 4u) * w);
        c21 += vec4<accum_t>(subgroupBroadcast(a2.x, 5u) * w);
        c22 += vec4<accum_t>(subgroupBroadcast(a2.x, 6u) * w);
        c23 += vec4<accum_t>(subgroupBroadcast(a2.x, 7u) * w);
        c24 += vec4<accum_t>(subgroupBroadcast(a3.x, 0u) * w);
        c25 += vec4<accum_t>(subgroupBroadcast(a3.x, 1u) * w);
        c26 += vec4<accum_t>(subgroupBroadcast(a3.x, 2u) * w);
        c27 += vec4<accum_t>(subgroupBroadcast(a3.x, 3u) * w);
        a0 = a0.yzwx; a1 = a1.yzwx; a2 = a2.yzwx; a3 = a3.yzwx;
      }
      j += 4u * layer.out_c4;
    }
  }
  for (var r = 0u; r < 7u + layer.unused0; r++) {
    store(pixel + 4u * r, n, c0);
    store(pixel + 4u * r + 1u, n, c1);
    store(pixel + 4u * r + 2u, n, c2);
    store(pixel + 4u * r + 3u, n, c3);
    c0 = c4; c1 = c5; c2 = c6; c3 = c7; c4 = c8; c5 = c9; c6 = c10; c7 = c11;
    c8 = c12; c9 = c13; c10 = c14; c11 = c15; c12 = c16; c13 = c17; c14 = c18; c15 = c19;
    c16 = c20; c17 = c21; c18 = c22; c19 = c23; c20 = c24; c21 = c25; c22 = c26; c23 = c27;
  }
}
