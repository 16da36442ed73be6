// Depthwise 3x3 and pointwise in one dispatch (V1's block); the tensor between them never leaves the workgroup.
//
// Bindings   input [batch][in_height][in_width][in_c4], depthwise_weights [9][in_c4], depthwise_bias [in_c4],
//            pointwise_weights [4 in_c4][out_c4], pointwise_bias [out_c4], output [batch][out_height][out_width][out_c4]; vec4 of channels
// Mapping    A workgroup of 64 makes 16 pixels x 128 channels. 32 channels at a time: 16 x 8 depthwise values into workgroup memory (two
//            a thread), then each thread adds them into its 8 pixels x 4 channels. The depthwise part is made again for each 128
//            output channels. Dispatch (ceil(out_c4 / 32), ceil(pixels / 16), 1), y folded into z beyond 65,535.
// Where      Real GPUs, blocks of up to 256 channels, where launches and memory traffic are the bound.

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

var<workgroup> between: array<vec4<compute_t>, 128>;  // [quad][pixel]

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

fn depthwise(pixel: u32, c: u32) -> vec4<accum_t> {
  let x = i32(pixel % layer.out_width * layer.stride) - i32(layer.pad_left);
  let y = i32(pixel / layer.out_width % layer.out_height * layer.stride) - i32(layer.pad_top);
  let image = pixel / (layer.out_width * layer.out_height);
  let h = i32(layer.in_height); let w = i32(layer.in_width);
  var sum = vec4<accum_t>(depthwise_bias[c]);
  for (var ky = 0; ky < 3; ky++) {
    let row = (image * layer.in_height + u32(clamp(y + ky, 0, h - 1))) * layer.in_width;
    for (var kx = 0; kx < 3; kx++) {
      let inside = y + ky >= 0 && y + ky < h && x + kx >= 0 && x + kx < w;
      let v = vec4<accum_t>(input[(row + u32(clamp(x + kx, 0, w - 1))) * layer.in_c4 + c]);
      sum += select(vec4<accum_t>(), v * vec4<accum_t>(depthwise_weights[u32(ky * 3 + kx) * layer.in_c4 + c]), inside);
    }
  }
  return clamp(sum, vec4<accum_t>(accum_t(layer.hidden_low)), vec4<accum_t>(accum_t(layer.hidden_high)));
}

fn store(pixel: u32, n: u32, v: vec4<accum_t>) {
  if (pixel < layer.pixels && n < layer.out_c4) {
    output[pixel * layer.out_c4 + n] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
  }
}

@compute @workgroup_size(32, 2)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) id: vec3<u32>,
        @builtin(local_invocation_index) lane: u32, @builtin(num_workgroups) groups: vec3<u32>) {
  let n = group.x * 32u + id.x;
  let column = min(n, layer.out_c4 - 1u);
  let first = (group.y + group.z * groups.y) * 16u;
  let last = layer.pixels - 1u;
  let b = vec4<accum_t>(pointwise_bias[column]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b; var c4 = b; var c5 = b; var c6 = b; var c7 = b;
  for (var k = 0u; k < layer.in_c4; k += 8u) {
    // Lanes 0 to 7 are neighbouring channel quads; each makes two pixels.
    let quad = lane % 8u;
    let row = lane / 8u;
    let c = min(k + quad, layer.in_c4 - 1u);
    between[quad * 16u + row] = vec4<compute_t>(depthwise(min(first + row, last), c));
    between[quad * 16u + row + 8u] = vec4<compute_t>(depthwise(min(first + row + 8u, last), c));
    workgroupBarrier();
    for (var q = 0u; q < min(8u, layer.in_c4 - k); q++) {
      let j = (k + q) * 4u * layer.out_c4 + column;
      let w0 = vec4<compute_t>(pointwise_weights[j]); let w1 = vec4<compute_t>(pointwise_weights[j + layer.out_c4]);
      let w2 = vec4<compute_t>(pointwise_weights[j + 2u * layer.out_c4]); let w3 = vec4<compute_t>(pointwise_weights[j + 3u * layer.out_c4]);
      let p = q * 16u + id.y * 8u;
      c0 = mad(c0, between[p], w0, w1, w2, w3);
      c1 = mad(c1, between[p + 1u], w0, w1, w2, w3);
      c2 = mad(c2, between[p + 2u], w0, w1, w2, w3);
      c3 = mad(c3, between[p + 3u], w0, w1, w2, w3);
      c4 = mad(c4, between[p + 4u], w0, w1, w2, w3);
      c5 = mad(c5, between[p + 5u], w0, w1, w2, w3);
      c6 = mad(c6, between[p + 6u], w0, w1, w2, w3);
      c7 = mad(c7, between[p + 7u], w0, w1, w2, w3);
    }
    workgroupBarrier();
  }
  let pixel = first + id.y * 8u;
  store(pixel, n, c0);
  store(pixel + 1u, n, c1);
  store(pixel + 2u, n, c2);
  store(pixel + 3u, n, c3);
  store(pixel + 4u, n, c4);
  store(pixel + 5u, n, c5);
  store(pixel + 6u, n, c6);
  store(pixel + 7u, n, c7);
}
