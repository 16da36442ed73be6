// A frame of the application's, in a camera's two planes (NV12, NV21): resized, cropped, turned and normalised in one dispatch.
//
// Pillow's antialiased resize in floating point, rounded to 8 bits where Pillow rounds (after the sum along x, and after
// that along y), so that it agrees with its twin on the CPU, src/picture/resample.rs, within one grey level. Besides
// `pixel` and the bindings before `output` the three files for frames are the same text; a test holds them to it.
//
// Bindings   frame     how the frame is seen, at a dynamic offset
//            luma      one channel, a value a pixel
//            chroma    two channels (Cb, Cr; NV21: Cr, Cb), a value for each 2x2 pixels: bilinear
//            output    [..][4] the network's input: one vec4 a pixel, fourth lane 0, from pixel `first` on
// Mapping    A thread makes one pixel from the whole footprint of its filter, a workgroup 8x8.
//            Dispatch (ceil(output.x / 8), ceil(output.y / 8), 1).

alias storage_t = f32;

struct Frame {
  scale: vec4<f32>,    // 1 / (255 * std), in the network's channel order; fourth lane 0
  bias: vec4<f32>,     // -mean / std; fourth lane 0
  range: vec4<f32>,    // NV12: offset and scale of luma, scale of chroma
  matrix: vec4<f32>,   // NV12: Cr to red, Cb to green, Cr to green, Cb to blue
  step: vec2<f32>,     // pixels of the picture a pixel of the resized one
  picture: vec2<u32>,  // size of the picture: of the crop of the frame, turned
  offset: vec2<u32>,   // where the network's crop begins in the resized picture
  output: vec2<u32>,   // size of the network's input
  chroma: vec2<u32>,   // NV12: size of the chroma plane
  siting: vec2<f32>,   // NV12: where the first of its values lies, in pixels of luma
  origin: vec2<i32>,   // the frame's pixel that is the picture's (0, 0)
  along: vec2<i32>,    // from there to the picture's (1, 0)
  down: vec2<i32>,     // and to its (0, 1)
  view: vec2<u32>,     // size that the view has if this is for it; 0: whatever it has
  first: u32, cubic: u32, blue_first: u32, encode: u32, start: u32, row_pixels: u32, cr_first: u32,
}
@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var luma: texture_2d<f32>;
@group(0) @binding(2) var chroma: texture_2d<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<storage_t>>;

fn quantise(value: vec3<f32>) -> vec3<f32> {
  return clamp(floor(value + 0.5), vec3<f32>(0.0), vec3<f32>(255.0));
}

// Both values of chroma at the frame's pixel `at`, from the four values about it.
fn chroma_at(at: vec2<i32>) -> vec2<f32> {
  let place = (vec2<f32>(at) - frame.siting) * 0.5;
  let corner = floor(place);
  let last = vec2<i32>(frame.chroma) - 1;
  let a = clamp(vec2<i32>(corner), vec2<i32>(0), last);
  let b = clamp(vec2<i32>(corner) + 1, vec2<i32>(0), last);
  let part = place - corner;
  let top = mix(textureLoad(chroma, a, 0).rg, textureLoad(chroma, vec2<i32>(b.x, a.y), 0).rg, part.x);
  let bottom = mix(textureLoad(chroma, vec2<i32>(a.x, b.y), 0).rg, textureLoad(chroma, b, 0).rg, part.x);
  return mix(top, bottom, part.y);
}

// The frame's pixel `at`, red, green, blue, 0 to 255.
fn pixel(at: vec2<i32>) -> vec3<f32> {
  let y = (textureLoad(luma, at, 0).r * 255.0 - frame.range.x) * frame.range.y;
  let stored = (chroma_at(at) * 255.0 - 128.0) * frame.range.z;
  let c = select(stored, stored.yx, frame.cr_first == 1u); // Cb, Cr
  let rgb = vec3<f32>(y + frame.matrix.x * c.y, y - frame.matrix.y * c.x - frame.matrix.z * c.y, y + frame.matrix.w * c.x);
  return quantise(rgb);
}

// Whether the view is of the level that this dispatch is for.
fn is_for_this() -> bool {
  return frame.view.x == 0u || all(textureDimensions(luma) == frame.view);
}

// The filter at distance `x`: a triangle, or a cubic with a = -0.5.
fn weight(x: f32) -> f32 {
  let t = abs(x);
  if frame.cubic == 0u {
    return max(1.0 - t, 0.0);
  }
  let inner = (1.5 * t - 2.5) * t * t + 1.0;
  let outer = (((t - 5.0) * t + 8.0) * t - 4.0) * -0.5;
  return select(select(0.0, outer, t < 2.0), inner, t < 1.0);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if id.x >= frame.output.x || id.y >= frame.output.y || !is_for_this() {
    return;
  }
  // When shrinking the filter is as wide as the pixels that become one.
  let stretch = max(frame.step, vec2<f32>(1.0));
  let support = select(1.0, 2.0, frame.cubic == 1u) * stretch;
  let centre = (vec2<f32>(frame.offset + id.xy) + 0.5) * frame.step;
  let begin = vec2<i32>(max(centre - support + 0.5, vec2<f32>(0.0)));
  let end = min(vec2<i32>(centre + support + 0.5), vec2<i32>(frame.picture));

  var sum = vec4<f32>(0.0);
  for (var y = begin.y; y < end.y; y++) {
    // The fourth lane adds up the weights.
    var row = vec4<f32>(0.0);
    for (var x = begin.x; x < end.x; x++) {
      let at = frame.origin + x * frame.along + y * frame.down;
      row += weight((f32(x) - centre.x + 0.5) / stretch.x) * vec4<f32>(pixel(at), 1.0);
    }
    sum += weight((f32(y) - centre.y + 0.5) / stretch.y) * vec4<f32>(quantise(row.rgb / row.w), 1.0);
  }
  let bytes = quantise(sum.rgb / sum.w);
  let ordered = select(bytes, bytes.zyx, frame.blue_first == 1u);
  let value = vec4<f32>(ordered, 0.0) * frame.scale + frame.bias;
  output[frame.first + id.y * frame.output.x + id.x] = vec4<storage_t>(value);
}
