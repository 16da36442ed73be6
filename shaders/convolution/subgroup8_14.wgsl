// Convolution of up to four input channels (the stem) for subgroups of 8: lanes gather different pixels and pass them round.
//
// Bindings   input [batch][in_height][in_width] (one vec4: red, green, blue, 0), weights [kernel_height][kernel_width][4][out_c4],
//            bias [out_c4], output [pixels][out_c4]
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes 14 pixels x 32 channels.
//            Dispatch (ceil(out_c4 / 8), ceil(pixels / 14), 1). layer.rounds = 7, layer.rows = 3: loop bounds that the compiler cannot see.
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

fn texel(image: i32, x: i32, y: i32) -> vec4<compute_t> {
  let w = i32(layer.in_width); let h = i32(layer.in_height);
  let inside = select(compute_t(0.0), compute_t(1.0), x >= 0 && y >= 0 && x < w && y < h);
  return vec4<compute_t>(input[(image * h + clamp(y, 0, h - 1)) * w + clamp(x, 0, w - 1)]) * inside;
}

fn store(pixel: u32, n: u32, v: vec4<accum_t>) {
  output[min(pixel, layer.pixels - 1u) * layer.out_c4 + n] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) tile: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let n = min(tile.x * 8u + lane, layer.out_c4 - 1u);
  let pixel = tile.y * 14u;
  let last = layer.pixels - 1u;
  let size = layer.out_width * layer.out_height;
  let p0 = min(pixel + lane, last); let q0 = p0 % size;
  let x0 = i32(q0 % layer.out_width * layer.stride) - i32(layer.pad_left); let y0 = i32(q0 / layer.out_width * layer.stride) - i32(layer.pad_top);
  let p1 = min(pixel + 8u + lane, last); let q1 = p1 % size;
  let x1 = i32(q1 % layer.out_width * layer.stride) - i32(layer.pad_left); let y1 = i32(q1 / layer.out_width * layer.stride) - i32(layer.pad_top);
  let b = vec4<accum_t>(bias[n]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b;
  var c7 = b; var c8 = b; var c9 = b; var c10 = b; var c11 = b; var c12 = b; var c13 = b;
  var j = n;
  for (var ky = 0; ky < i32(layer.kernel_height); ky++) {
    for (var kx = 0; kx < i32(layer.kernel_width); kx++) {
      var a0 = texel(i32(p0 / size), x0 + kx, y0 + ky);
      var a1 = texel(i32(p1 / size), x1 + kx, y1 + ky);
      // Red, green, blue: the colour in turn comes to .x, so one weight load site serves all three.
      for (var colour = 0u; colour < layer.rows; colour++) {
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
        a0 = a0.yzwx; a1 = a1.yzwx;
      }
      j += 4u * layer.out_c4;
    }
  }
  for (var r = 0u; r < layer.rounds; r++) {
    store(pixel + 2u * r, n, c0);
    store(pixel + 2u * r + 1u, n, c1);
    c0 = c2; c1 = c3; c2 = c4; c3 = c5; c4 = c6; c5 = c7; c6 = c8;
    c7 = c9; c8 = c10; c9 = c11; c10 = c12; c11 = c13;
  }
}
