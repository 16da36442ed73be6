// Convolution, any kernel and stride, a register tile: the portable variant for many input channels.
//
// Bindings   input [batch][in_height][in_width][in_c4], weights [kernel_height][kernel_width][4 in_c4][out_c4], bias [out_c4],
//            residual as output (any buffer if layer.residual = 0), output [pixels][out_c4]; all vec4 of channels
// Mapping    A thread makes 4 pixels x 4 channels. A workgroup is 8 channel quads wide (128 contiguous bytes of a weight row) and
//            8 x 4 pixels high. Dispatch (ceil(out_c4 / 8), ceil(pixels / 32), 1), y folded into z beyond 65,535.
// Where      Any GPU, layers of more than four input channels: the twin of the pointwise kernel of this name, against which
//            `lab separable` holds standard convolutions.

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

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

fn store(pixel: u32, n: u32, sum: vec4<accum_t>) {
  if (pixel >= layer.pixels) { return; }
  let o = pixel * layer.out_c4 + n;
  var v = sum;
  if (layer.residual != 0u) { v += vec4<accum_t>(residual[o]); }
  output[o] = vec4<storage_t>(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

// Where a pixel's input of a tap stands, and whether that is inside the picture: outside is zero.
struct Place { index: u32, inside: compute_t }

fn place(pixel: u32, ky: u32, kx: u32) -> Place {
  let p = min(pixel, layer.pixels - 1u);
  let size = layer.out_width * layer.out_height;
  let q = p % size;
  let x = i32(q % layer.out_width * layer.stride + kx) - i32(layer.pad_left);
  let y = i32(q / layer.out_width * layer.stride + ky) - i32(layer.pad_top);
  let w = i32(layer.in_width); let h = i32(layer.in_height);
  let inside = select(compute_t(0.0), compute_t(1.0), x >= 0 && y >= 0 && x < w && y < h);
  return Place(u32((i32(p / size) * h + clamp(y, 0, h - 1)) * w + clamp(x, 0, w - 1)) * layer.in_c4, inside);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let n = id.x;
  let pixel = (id.y + id.z * groups.y * 8u) * 4u;
  if (n >= layer.out_c4 || pixel >= layer.pixels) { return; }
  let b = vec4<accum_t>(bias[n]);
  var c0 = b; var c1 = b; var c2 = b; var c3 = b;
  var j = n;
  for (var ky = 0u; ky < layer.kernel_height; ky++) {
    for (var kx = 0u; kx < layer.kernel_width; kx++) {
      let p0 = place(pixel, ky, kx);
      let p1 = place(pixel + 1u, ky, kx);
      let p2 = place(pixel + 2u, ky, kx);
      let p3 = place(pixel + 3u, ky, kx);
      for (var k = 0u; k < layer.in_c4; k++) {
        let w0 = vec4<compute_t>(weights[j]); let w1 = vec4<compute_t>(weights[j + layer.out_c4]);
        let w2 = vec4<compute_t>(weights[j + 2u * layer.out_c4]); let w3 = vec4<compute_t>(weights[j + 3u * layer.out_c4]);
        j += 4u * layer.out_c4;
        c0 = mad(c0, vec4<compute_t>(input[p0.index + k]) * p0.inside, w0, w1, w2, w3);
        c1 = mad(c1, vec4<compute_t>(input[p1.index + k]) * p1.inside, w0, w1, w2, w3);
        c2 = mad(c2, vec4<compute_t>(input[p2.index + k]) * p2.inside, w0, w1, w2, w3);
        c3 = mad(c3, vec4<compute_t>(input[p3.index + k]) * p3.inside, w0, w1, w2, w3);
      }
    }
  }
  store(pixel, n, c0);
  store(pixel + 1u, n, c1);
  store(pixel + 2u, n, c2);
  store(pixel + 3u, n, c3);
}
