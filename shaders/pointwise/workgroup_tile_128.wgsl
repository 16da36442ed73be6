// Pointwise (1x1) convolution, large tiles of input and weights through workgroup memory.
//
// Bindings   input [pixels][in_c4], weights [4 in_c4][out_c4], bias [out_c4],
//            residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]; all vec4 of channels
// Mapping    A thread makes 4 pixels x 8 channels (two quads, 32 channels apart), a workgroup of 256 makes 128 pixels x 64 channels, 16 input
//            channels at a time. Dispatch (ceil(out_c4 / 16), ceil(pixels / 128), 1), y folded into z beyond 65,535.
//            Workgroup memory: 12 KiB in f32.
// Where      Real GPUs with tens of thousands of pixels: batches, and large pictures. Twelve loads from workgroup memory feed 128 multiply-adds.

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
@group(0) @binding(5) var<storage, read> residual: array<vec4<storage_t>>;

var<workgroup> pixels_tile: array<vec4<compute_t>, 512>;   // [input quad][pixel]
var<workgroup> weights_tile: array<vec4<compute_t>, 256>;  // [input channel][output quad]

// Four input channels `x` of one pixel times four weight rows; one fused multiply-add each, which is what bounds this kernel.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  let v = vec4<accum_t>(x);
  let two = fma(vec4<accum_t>(v.y), vec4<accum_t>(w1), fma(vec4<accum_t>(v.x), vec4<accum_t>(w0), sum));
  return fma(vec4<accum_t>(v.w), vec4<accum_t>(w3), fma(vec4<accum_t>(v.z), vec4<accum_t>(w2), two));
}

fn store(pixel: u32, n: u32, sum: vec4<accum_t>) {
  if (pixel >= layer.pixels || n >= layer.out_c4) { return; }
  let o = pixel * layer.out_c4 + n;
  var v = sum;
  if (layer.residual != 0u) { v += vec4<accum_t>(residual[o]); }
  output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(8, 32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>,
        @builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) groups: vec3<u32>) {
  let first = (group.y + group.z * groups.y) * 128u;
  let last = layer.pixels - 1u;
  let most = layer.out_c4 - 1u;
  let n = group.x * 16u + id.x;  // and n + 8
  let b0 = vec4<accum_t>(bias[min(n, most)]);
  let b1 = vec4<accum_t>(bias[min(n + 8u, most)]);
  var a0 = b0; var a1 = b0; var a2 = b0; var a3 = b0;
  var d0 = b1; var d1 = b1; var d2 = b1; var d3 = b1;
  // Lanes fetch 16 inputs of 128 pixels, two quads each, and 16 rows of 16 weight quads; zeros past the last input channel.
  let row0 = min(first + lane / 4u, last) * layer.in_c4;
  let row1 = min(first + 64u + lane / 4u, last) * layer.in_c4;
  let lq = lane % 4u;
  let wcol = min(group.x * 16u + lane % 16u, most);
  for (var k = 0u; k < layer.in_c4; k += 4u) {
    let kq = min(k + lq, layer.in_c4 - 1u);
    let here = k + lq < layer.in_c4;
    pixels_tile[lq * 128u + lane / 4u] = select(vec4<compute_t>(), vec4<compute_t>(input[row0 + kq]), here);
    pixels_tile[lq * 128u + 64u + lane / 4u] = select(vec4<compute_t>(), vec4<compute_t>(input[row1 + kq]), here);
    let wrow = min(k * 4u + lane / 16u, layer.in_c4 * 4u - 1u);
    weights_tile[lane] = vec4<compute_t>(weights[wrow * layer.out_c4 + wcol]);
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
      let p = q * 128u + id.y * 4u;
      let x0 = pixels_tile[p]; let x1 = pixels_tile[p + 1u]; let x2 = pixels_tile[p + 2u]; let x3 = pixels_tile[p + 3u];
      let w = q * 64u + id.x;
      let u0 = weights_tile[w]; let u1 = weights_tile[w + 16u]; let u2 = weights_tile[w + 32u]; let u3 = weights_tile[w + 48u];
      a0 = mad(a0, x0, u0, u1, u2, u3); a1 = mad(a1, x1, u0, u1, u2, u3); a2 = mad(a2, x2, u0, u1, u2, u3); a3 = mad(a3, x3, u0, u1, u2, u3);
      let v0 = weights_tile[w + 8u]; let v1 = weights_tile[w + 24u]; let v2 = weights_tile[w + 40u]; let v3 = weights_tile[w + 56u];
      d0 = mad(d0, x0, v0, v1, v2, v3); d1 = mad(d1, x1, v0, v1, v2, v3); d2 = mad(d2, x2, v0, v1, v2, v3); d3 = mad(d3, x3, v0, v1, v2, v3);
    }
    workgroupBarrier();
  }
  let pixel = first + id.y * 4u;
  store(pixel, n, a0); store(pixel + 1u, n, a1); store(pixel + 2u, n, a2); store(pixel + 3u, n, a3);
  store(pixel, n + 8u, d0); store(pixel + 1u, n + 8u, d1); store(pixel + 2u, n + 8u, d2); store(pixel + 3u, n + 8u, d3);
}
