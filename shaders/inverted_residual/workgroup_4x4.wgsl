// Expand 1x1, depthwise 3x3, project 1x1 and the residual in one dispatch (V2's inverted residual); the expanded tensor never
// leaves the workgroup.
//
// Bindings   input [batch][in_height][in_width][in_c4], expand_weights [4 in_c4][hidden_c4], expand_bias [hidden_c4],
//            depthwise_weights [9][hidden_c4], depthwise_bias [hidden_c4], project_weights [4 hidden_c4][out_c4], project_bias [out_c4],
//            output [batch][out_height][out_width][out_c4]; all vec4 of channels. With layer.residual the input is added.
// Mapping    A workgroup of 64 makes a tile of 4 x 4 output pixels x 64 channels, 16 hidden channels at a time: expand the tile with its
//            halo (6 x 6 at stride 1, 9 x 9 at stride 2) into workgroup memory, depthwise from it into a second array, add that into
//            the projection's accumulators in registers. Dispatch (tiles, ceil(out_c4 / 16), batch): tiles run along rows.
//            Workgroup memory: 6.1 KiB in f32.
// Where      Real GPUs, the early blocks of V2, whose expanded tensors are large. Never on software adapters.

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
@group(0) @binding(3) var<storage, read> expand_weights: array<vec4<storage_t>>;
@group(0) @binding(4) var<storage, read> expand_bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> depthwise_weights: array<vec4<storage_t>>;
@group(0) @binding(6) var<storage, read> depthwise_bias: array<vec4<storage_t>>;
@group(0) @binding(7) var<storage, read> project_weights: array<vec4<storage_t>>;
@group(0) @binding(8) var<storage, read> project_bias: array<vec4<storage_t>>;

var<workgroup> hidden: array<vec4<compute_t>, 324>;  // [pixel of the halo tile][quad]
var<workgroup> middle: array<vec4<compute_t>, 64>;  // [quad][output pixel]

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

// Output pixel `p` of the tile at x0, y0.
fn store(image: u32, x0: u32, y0: u32, p: u32, n: u32, sum: vec4<accum_t>) {
  let x = x0 + p % 4u;
  let y = y0 + p / 4u;
  if (x >= layer.out_width || y >= layer.out_height || n >= layer.out_c4) { return; }
  let o = ((image * layer.out_height + y) * layer.out_width + x) * layer.out_c4 + n;
  var v = sum;
  if (layer.residual != 0u) { v += vec4<accum_t>(input[o]); }
  output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let tiles_x = (layer.out_width + 3u) / 4u;
  let x0 = group.x % tiles_x * 4u;
  let y0 = group.x / tiles_x * 4u;
  let image = group.z;
  // The halo tile: its size, and its first pixel in the input.
  let halo_width = 3u * layer.stride + 3u;
  let halo = halo_width * (3u * layer.stride + 3u);
  let left = i32(x0 * layer.stride) - i32(layer.pad_left);
  let top = i32(y0 * layer.stride) - i32(layer.pad_top);
  let h = i32(layer.in_height); let w = i32(layer.in_width);
  // Roles: expanding and depthwise, a quad of the 16 hidden channels; projecting, an output quad and a quarter of the pixels.
  let quad = lane % 4u;
  let n = group.y * 16u + lane % 16u;
  let column = min(n, layer.out_c4 - 1u);
  let quarter = lane / 16u;
  let b = vec4<accum_t>(project_bias[column]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b;

  for (var k = 0u; k < layer.hidden_c4; k += 4u) {
    let hq = min(k + quad, layer.hidden_c4 - 1u);
    for (var p = lane / 4u; p < halo; p += 16u) {
      let x = left + i32(p % halo_width);
      let y = top + i32(p / halo_width);
      let i = ((image * layer.in_height + u32(clamp(y, 0, h - 1))) * layer.in_width + u32(clamp(x, 0, w - 1))) * layer.in_c4;
      var sum = vec4<accum_t>(expand_bias[hq]);
      for (var c = 0u; c < layer.in_c4; c++) {
        let j = c * 4u * layer.hidden_c4 + hq;
        sum = mad(sum, vec4<compute_t>(input[i + c]), vec4<compute_t>(expand_weights[j]), vec4<compute_t>(expand_weights[j + layer.hidden_c4]),
          vec4<compute_t>(expand_weights[j + 2u * layer.hidden_c4]), vec4<compute_t>(expand_weights[j + 3u * layer.hidden_c4]));
      }
      // Outside the picture the depthwise convolution reads zeros, not the expansion of zeros.
      let inside = x >= 0 && y >= 0 && x < w && y < h;
      let v = clamp(sum, vec4<accum_t>(accum_t(layer.hidden_low)), vec4<accum_t>(accum_t(layer.hidden_high)));
      hidden[p * 4u + quad] = select(vec4<compute_t>(), vec4<compute_t>(v), inside);
    }
    workgroupBarrier();
    for (var p = lane / 4u; p < 16u; p += 16u) {
      let corner = (p / 4u * halo_width + p % 4u) * layer.stride;
      var sum = vec4<accum_t>(depthwise_bias[hq]);
      for (var ky = 0u; ky < 3u; ky++) {
        for (var kx = 0u; kx < 3u; kx++) {
          let v = hidden[(corner + ky * halo_width + kx) * 4u + quad];
          sum += vec4<accum_t>(v) * vec4<accum_t>(depthwise_weights[(ky * 3u + kx) * layer.hidden_c4 + hq]);
        }
      }
      middle[quad * 16u + p] = vec4<compute_t>(clamp(sum, vec4<accum_t>(accum_t(layer.hidden_low)), vec4<accum_t>(accum_t(layer.hidden_high))));
    }
    workgroupBarrier();
    for (var q = 0u; q < min(4u, layer.hidden_c4 - k); q++) {
      let j = (k + q) * 4u * layer.out_c4 + column;
      let w0 = vec4<compute_t>(project_weights[j]); let w1 = vec4<compute_t>(project_weights[j + layer.out_c4]);
      let w2 = vec4<compute_t>(project_weights[j + 2u * layer.out_c4]); let w3 = vec4<compute_t>(project_weights[j + 3u * layer.out_c4]);
      let m = q * 16u + quarter * 4u;
      c0 = mad(c0, middle[m], w0, w1, w2, w3);
      c1 = mad(c1, middle[m + 1u], w0, w1, w2, w3);
      c2 = mad(c2, middle[m + 2u], w0, w1, w2, w3);
      c3 = mad(c3, middle[m + 3u], w0, w1, w2, w3);
    }
  }
  store(image, x0, y0, quarter * 4u, n, c0);
  store(image, x0, y0, quarter * 4u + 1u, n, c1);
  store(image, x0, y0, quarter * 4u + 2u, n, c2);
  store(image, x0, y0, quarter * 4u + 3u, n, c3);
}
