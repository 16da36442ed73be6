// Expand 1x1, depthwise 3x3, project 1x1 and the residual in one dispatch (V2's inverted residual) for subgroups of 8: the expanded
// tensor never leaves registers.
//
// Bindings   input [batch][in_height][in_width][in_c4], expand_weights [tile][2 in_c4][8], expand_bias [hidden_c4],
//            depthwise_weights [9][hidden_c4], depthwise_bias [hidden_c4], project_weights [tile][2 hidden_c4][8], project_bias [out_c4],
//            output [batch][out_height][out_width][out_c4]; quads of channels, in input and output as vec2<u64>; a tile is 32 channels,
//            with zeros past the last, vec4<u64>: weights of an even input channel in the low halves, of the next in the high ones. With
//            layer.residual the input is added. f32 only.
// Mapping    A workgroup is one subgroup of 8 (required: min = max = 8) and makes a tile of 7 x 7 output pixels (4 x 4 at stride 2) x 32
//            channels from 9 x 9 hidden pixels, 32 hidden channels at a time. Expanding and depthwise, lanes are the quads of these 32;
//            projecting, those of the output. So nothing is exchanged but the multiplicands of the two matrix products: input pixels
//            that other lanes have loaded, hidden quads that they hold. Three hidden rows are expanded at a time and the output rows
//            that end with them made: all 9 x 9 in one loop take longer to compile, and leave the instruction cache.
//            Dispatch (ceil(out_c4 / 8), tiles, batch): tiles run along rows. With more than 32 output
//            channels, each 32 expand for themselves.
//            STRIDE is 1 or 2 where the pipeline is for one stride, and then computes only what it stores; 0 for layer.stride.
//            Loops end with `break if` on bounds that the compiler cannot see: it unrolls none, and a loop that tests first would
//            run its body once more, masked.
// Where      Mesa's software Vulkan driver (llvmpipe), whose subgroups are 8 wide: V2's first blocks, whose expanded tensors are large.

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
@group(0) @binding(2) var<storage, read_write> output: array<vec2<u64>>;
@group(0) @binding(3) var<storage, read> expand_weights: array<vec4<u64>>;
@group(0) @binding(4) var<storage, read> expand_bias: array<vec4<storage_t>>;
@group(0) @binding(5) var<storage, read> depthwise_weights: array<vec4<storage_t>>;
@group(0) @binding(6) var<storage, read> depthwise_bias: array<vec4<storage_t>>;
@group(0) @binding(7) var<storage, read> project_weights: array<vec4<u64>>;
@group(0) @binding(8) var<storage, read> project_bias: array<vec4<storage_t>>;

// Channels 0 to 3 of a pixel.
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
// Weights of an even input channel and of the one after it.
fn even_row(pair: vec4<u64>) -> vec4<compute_t> { return bitcast<vec4<f32>>(vec4<u32>(pair)); }
fn odd_row(pair: vec4<u64>) -> vec4<compute_t> { return bitcast<vec4<f32>>(vec4<u32>(pair >> vec4<u32>(32u))); }

const STRIDE = 0u;  // a row of the table puts 1 or 2 here

// Four input channels `x` of one pixel times four weight rows.
fn mad(sum: vec4<accum_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<accum_t> {
  return sum + vec4<accum_t>(x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3);
}

// Where pixel `p` of three rows of 9 is in the input; outside the picture, the nearest one inside.
fn address(image: u32, top: i32, left: i32, p: u32) -> u32 {
  let y = u32(clamp(top + i32(p / 9u), 0, i32(layer.in_height) - 1));
  let x = u32(clamp(left + i32(p % 9u), 0, i32(layer.in_width) - 1));
  return ((image * layer.in_height + y) * layer.in_width + x) * layer.in_c4;
}

// The hidden activation's limits in row or column `at` of `size`: outside the picture the depthwise convolution reads zeros, not the
// expansion of zeros.
fn limits(at: i32, size: u32) -> vec2<accum_t> {
  return select(vec2<accum_t>(), vec2<accum_t>(accum_t(layer.hidden_low), accum_t(layer.hidden_high)), at >= 0 && at < i32(size));
}

// For limits on both sides of zero, which every activation has.
fn activate(sum: vec4<accum_t>, row: vec2<accum_t>, column: vec2<accum_t>) -> vec4<accum_t> {
  return clamp(sum, vec4<accum_t>(max(row.x, column.x)), vec4<accum_t>(min(row.y, column.y)));
}

fn store(pixel: u32, n: u32, sum: vec4<accum_t>) {
  if (n >= layer.out_c4) { return; }
  let o = pixel * layer.out_c4 + n;
  var v = sum;
  if (layer.residual != 0u) { v += quad(input[o]); }
  output[o] = pairs(clamp(v, vec4<accum_t>(accum_t(layer.low)), vec4<accum_t>(accum_t(layer.high))));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let apart = select(layer.stride == 2u, STRIDE == 2u, STRIDE != 0u);
  let side = select(7u, 4u, apart);
  let tiles_x = (layer.out_width + side - 1u) / side;
  let x0 = group.y % tiles_x * side;
  let y0 = group.y / tiles_x * side;
  let image = group.z;
  // The tile's first hidden pixel.
  let left = i32(x0 * layer.stride) - i32(layer.pad_left);
  let top = i32(y0 * layer.stride) - i32(layer.pad_top);
  let all = vec2<accum_t>(accum_t(layer.hidden_low), accum_t(layer.hidden_high));
  let lx0 = limits(left + 0, layer.in_width); let lx1 = limits(left + 1, layer.in_width); let lx2 = limits(left + 2, layer.in_width);
  let lx3 = limits(left + 3, layer.in_width); let lx4 = limits(left + 4, layer.in_width); let lx5 = limits(left + 5, layer.in_width);
  let lx6 = limits(left + 6, layer.in_width); let lx7 = limits(left + 7, layer.in_width); let lx8 = limits(left + 8, layer.in_width);
  let n = group.x * 8u + lane;
  let b = vec4<accum_t>(project_bias[min(n, layer.out_c4 - 1u)]);
  var c00 = b; var c01 = b; var c02 = b; var c03 = b; var c04 = b; var c05 = b; var c06 = b;
  var c10 = b; var c11 = b; var c12 = b; var c13 = b; var c14 = b; var c15 = b; var c16 = b;
  var c20 = b; var c21 = b; var c22 = b; var c23 = b; var c24 = b; var c25 = b; var c26 = b;
  var c30 = b; var c31 = b; var c32 = b; var c33 = b; var c34 = b; var c35 = b; var c36 = b;
  var c40 = b; var c41 = b; var c42 = b; var c43 = b; var c44 = b; var c45 = b; var c46 = b;
  var c50 = b; var c51 = b; var c52 = b; var c53 = b; var c54 = b; var c55 = b; var c56 = b;
  var c60 = b; var c61 = b; var c62 = b; var c63 = b; var c64 = b; var c65 = b; var c66 = b;

  var k = 0u;
  loop {
    let hq = min(k + lane, layer.hidden_c4 - 1u);
    let be = vec4<accum_t>(expand_bias[hq]);
    let bd = vec4<accum_t>(depthwise_bias[hq]);
    // Three load sites for nine weights: they move down three places a turn.
    var u0: vec4<accum_t>; var u1: vec4<accum_t>; var u2: vec4<accum_t>; var u3: vec4<accum_t>; var u4: vec4<accum_t>;
    var u5: vec4<accum_t>; var u6: vec4<accum_t>; var u7: vec4<accum_t>; var u8: vec4<accum_t>;
    var i = 0u;
    var j = hq;
    loop {
      u0 = u3; u1 = u4; u2 = u5; u3 = u6; u4 = u7; u5 = u8;
      u6 = vec4<accum_t>(depthwise_weights[j]);
      u7 = vec4<accum_t>(depthwise_weights[j + layer.hidden_c4]);
      u8 = vec4<accum_t>(depthwise_weights[j + 2u * layer.hidden_c4]);
      continuing {
        i += 1u; j += 3u * layer.hidden_c4;
        break if i >= layer.kernel_height;
      }
    }
    // Each lane from itself: what comes out of a loop is a variable to Mesa, whose many uses LLVM takes long for (a third of it all);
    // what comes out of a shuffle is a value.
    let v0 = subgroupShuffle(u0, lane); let v1 = subgroupShuffle(u1, lane); let v2 = subgroupShuffle(u2, lane);
    let v3 = subgroupShuffle(u3, lane); let v4 = subgroupShuffle(u4, lane); let v5 = subgroupShuffle(u5, lane);
    let v6 = subgroupShuffle(u6, lane); let v7 = subgroupShuffle(u7, lane); let v8 = subgroupShuffle(u8, lane);

    // m: the depthwise convolution's outputs, each row up three places a turn. p, q: the last two hidden rows of the turn before.
    // In the first turn there are none, and what comes of them leaves m at the top.
    var m00: vec4<compute_t>; var m01: vec4<compute_t>; var m02: vec4<compute_t>; var m03: vec4<compute_t>;
    var m04: vec4<compute_t>; var m05: vec4<compute_t>; var m06: vec4<compute_t>;
    var m10: vec4<compute_t>; var m11: vec4<compute_t>; var m12: vec4<compute_t>; var m13: vec4<compute_t>;
    var m14: vec4<compute_t>; var m15: vec4<compute_t>; var m16: vec4<compute_t>;
    var m20: vec4<compute_t>; var m21: vec4<compute_t>; var m22: vec4<compute_t>; var m23: vec4<compute_t>;
    var m24: vec4<compute_t>; var m25: vec4<compute_t>; var m26: vec4<compute_t>;
    var m30: vec4<compute_t>; var m31: vec4<compute_t>; var m32: vec4<compute_t>; var m33: vec4<compute_t>;
    var m34: vec4<compute_t>; var m35: vec4<compute_t>; var m36: vec4<compute_t>;
    var m40: vec4<compute_t>; var m41: vec4<compute_t>; var m42: vec4<compute_t>; var m43: vec4<compute_t>;
    var m44: vec4<compute_t>; var m45: vec4<compute_t>; var m46: vec4<compute_t>;
    var m50: vec4<compute_t>; var m51: vec4<compute_t>; var m52: vec4<compute_t>; var m53: vec4<compute_t>;
    var m54: vec4<compute_t>; var m55: vec4<compute_t>; var m56: vec4<compute_t>;
    var m60: vec4<compute_t>; var m61: vec4<compute_t>; var m62: vec4<compute_t>; var m63: vec4<compute_t>;
    var m64: vec4<compute_t>; var m65: vec4<compute_t>; var m66: vec4<compute_t>;
    var p0: vec4<accum_t>; var p1: vec4<accum_t>; var p2: vec4<accum_t>; var p3: vec4<accum_t>; var p4: vec4<accum_t>;
    var p5: vec4<accum_t>; var p6: vec4<accum_t>; var p7: vec4<accum_t>; var p8: vec4<accum_t>;
    var q0: vec4<accum_t>; var q1: vec4<accum_t>; var q2: vec4<accum_t>; var q3: vec4<accum_t>; var q4: vec4<accum_t>;
    var q5: vec4<accum_t>; var q6: vec4<accum_t>; var q7: vec4<accum_t>; var q8: vec4<accum_t>;
    var g = 0u;
    loop {
      let row = top + 3 * i32(g);
      let i0 = address(image, row, left, lane);
      let i1 = address(image, row, left, 8u + lane);
      let i2 = address(image, row, left, 16u + lane);
      let i3 = address(image, row, left, min(24u + lane, 26u));
      var h00 = be; var h01 = be; var h02 = be; var h03 = be; var h04 = be; var h05 = be; var h06 = be; var h07 = be; var h08 = be;
      var h10 = be; var h11 = be; var h12 = be; var h13 = be; var h14 = be; var h15 = be; var h16 = be; var h17 = be; var h18 = be;
      var h20 = be; var h21 = be; var h22 = be; var h23 = be; var h24 = be; var h25 = be; var h26 = be; var h27 = be; var h28 = be;
      // Loading: lane l reads pixels l, 8 + l, 16 + l, 24 + l. Computing: lane l holds hidden quad l of all 27 pixels.
      i = 0u;
      j = k * layer.in_c4 * 2u + lane;
      loop {
        let a0 = quad(input[i0 + i]); let a1 = quad(input[i1 + i]);
        let a2 = quad(input[i2 + i]); let a3 = quad(input[i3 + i]);
        let e0 = expand_weights[j]; let e1 = expand_weights[j + 8u];
        let w0 = even_row(e0); let w1 = odd_row(e0); let w2 = even_row(e1); let w3 = odd_row(e1);
        h00 = mad(h00, subgroupBroadcast(a0, 0u), w0, w1, w2, w3);
        h01 = mad(h01, subgroupBroadcast(a0, 1u), w0, w1, w2, w3);
        h02 = mad(h02, subgroupBroadcast(a0, 2u), w0, w1, w2, w3);
        h03 = mad(h03, subgroupBroadcast(a0, 3u), w0, w1, w2, w3);
        h04 = mad(h04, subgroupBroadcast(a0, 4u), w0, w1, w2, w3);
        h05 = mad(h05, subgroupBroadcast(a0, 5u), w0, w1, w2, w3);
        h06 = mad(h06, subgroupBroadcast(a0, 6u), w0, w1, w2, w3);
        h07 = mad(h07, subgroupBroadcast(a0, 7u), w0, w1, w2, w3);
        h08 = mad(h08, subgroupBroadcast(a1, 0u), w0, w1, w2, w3);
        h10 = mad(h10, subgroupBroadcast(a1, 1u), w0, w1, w2, w3);
        h11 = mad(h11, subgroupBroadcast(a1, 2u), w0, w1, w2, w3);
        h12 = mad(h12, subgroupBroadcast(a1, 3u), w0, w1, w2, w3);
        h13 = mad(h13, subgroupBroadcast(a1, 4u), w0, w1, w2, w3);
        h14 = mad(h14, subgroupBroadcast(a1, 5u), w0, w1, w2, w3);
        h15 = mad(h15, subgroupBroadcast(a1, 6u), w0, w1, w2, w3);
        h16 = mad(h16, subgroupBroadcast(a1, 7u), w0, w1, w2, w3);
        h17 = mad(h17, subgroupBroadcast(a2, 0u), w0, w1, w2, w3);
        h18 = mad(h18, subgroupBroadcast(a2, 1u), w0, w1, w2, w3);
        h20 = mad(h20, subgroupBroadcast(a2, 2u), w0, w1, w2, w3);
        h21 = mad(h21, subgroupBroadcast(a2, 3u), w0, w1, w2, w3);
        h22 = mad(h22, subgroupBroadcast(a2, 4u), w0, w1, w2, w3);
        h23 = mad(h23, subgroupBroadcast(a2, 5u), w0, w1, w2, w3);
        h24 = mad(h24, subgroupBroadcast(a2, 6u), w0, w1, w2, w3);
        h25 = mad(h25, subgroupBroadcast(a2, 7u), w0, w1, w2, w3);
        h26 = mad(h26, subgroupBroadcast(a3, 0u), w0, w1, w2, w3);
        h27 = mad(h27, subgroupBroadcast(a3, 1u), w0, w1, w2, w3);
        h28 = mad(h28, subgroupBroadcast(a3, 2u), w0, w1, w2, w3);
        continuing {
          i += 1u; j += 16u;
          break if i >= layer.in_c4;
        }
      }
      let ly0 = limits(row, layer.in_height); let ly1 = limits(row + 1, layer.in_height); let ly2 = limits(row + 2, layer.in_height);
      h00 = activate(h00, ly0, lx0); h01 = activate(h01, ly0, lx1); h02 = activate(h02, ly0, lx2); h03 = activate(h03, ly0, lx3); h04 = activate(h04, ly0, lx4);
      h05 = activate(h05, ly0, lx5); h06 = activate(h06, ly0, lx6); h07 = activate(h07, ly0, lx7); h08 = activate(h08, ly0, lx8);
      h10 = activate(h10, ly1, lx0); h11 = activate(h11, ly1, lx1); h12 = activate(h12, ly1, lx2); h13 = activate(h13, ly1, lx3); h14 = activate(h14, ly1, lx4);
      h15 = activate(h15, ly1, lx5); h16 = activate(h16, ly1, lx6); h17 = activate(h17, ly1, lx7); h18 = activate(h18, ly1, lx8);
      h20 = activate(h20, ly2, lx0); h21 = activate(h21, ly2, lx1); h22 = activate(h22, ly2, lx2); h23 = activate(h23, ly2, lx3); h24 = activate(h24, ly2, lx4);
      h25 = activate(h25, ly2, lx5); h26 = activate(h26, ly2, lx6); h27 = activate(h27, ly2, lx7); h28 = activate(h28, ly2, lx8);
      m00 = m30; m01 = m31; m02 = m32; m03 = m33; m04 = m34; m05 = m35; m06 = m36;
      m10 = m40; m11 = m41; m12 = m42; m13 = m43; m14 = m44; m15 = m45; m16 = m46;
      m20 = m50; m21 = m51; m22 = m52; m23 = m53; m24 = m54; m25 = m55; m26 = m56;
      m30 = m60; m31 = m61; m32 = m62; m33 = m63; m34 = m64; m35 = m65; m36 = m66;
      m40 = vec4<compute_t>(activate(bd + p0 * v0 + p1 * v1 + p2 * v2 + q0 * v3 + q1 * v4 + q2 * v5 + h00 * v6 + h01 * v7 + h02 * v8, all, all));
      m41 = vec4<compute_t>(activate(bd + p1 * v0 + p2 * v1 + p3 * v2 + q1 * v3 + q2 * v4 + q3 * v5 + h01 * v6 + h02 * v7 + h03 * v8, all, all));
      m42 = vec4<compute_t>(activate(bd + p2 * v0 + p3 * v1 + p4 * v2 + q2 * v3 + q3 * v4 + q4 * v5 + h02 * v6 + h03 * v7 + h04 * v8, all, all));
      m43 = vec4<compute_t>(activate(bd + p3 * v0 + p4 * v1 + p5 * v2 + q3 * v3 + q4 * v4 + q5 * v5 + h03 * v6 + h04 * v7 + h05 * v8, all, all));
      m44 = vec4<compute_t>(activate(bd + p4 * v0 + p5 * v1 + p6 * v2 + q4 * v3 + q5 * v4 + q6 * v5 + h04 * v6 + h05 * v7 + h06 * v8, all, all));
      m45 = vec4<compute_t>(activate(bd + p5 * v0 + p6 * v1 + p7 * v2 + q5 * v3 + q6 * v4 + q7 * v5 + h05 * v6 + h06 * v7 + h07 * v8, all, all));
      m46 = vec4<compute_t>(activate(bd + p6 * v0 + p7 * v1 + p8 * v2 + q6 * v3 + q7 * v4 + q8 * v5 + h06 * v6 + h07 * v7 + h08 * v8, all, all));
      m50 = vec4<compute_t>(activate(bd + q0 * v0 + q1 * v1 + q2 * v2 + h00 * v3 + h01 * v4 + h02 * v5 + h10 * v6 + h11 * v7 + h12 * v8, all, all));
      m51 = vec4<compute_t>(activate(bd + q1 * v0 + q2 * v1 + q3 * v2 + h01 * v3 + h02 * v4 + h03 * v5 + h11 * v6 + h12 * v7 + h13 * v8, all, all));
      m52 = vec4<compute_t>(activate(bd + q2 * v0 + q3 * v1 + q4 * v2 + h02 * v3 + h03 * v4 + h04 * v5 + h12 * v6 + h13 * v7 + h14 * v8, all, all));
      m53 = vec4<compute_t>(activate(bd + q3 * v0 + q4 * v1 + q5 * v2 + h03 * v3 + h04 * v4 + h05 * v5 + h13 * v6 + h14 * v7 + h15 * v8, all, all));
      m54 = vec4<compute_t>(activate(bd + q4 * v0 + q5 * v1 + q6 * v2 + h04 * v3 + h05 * v4 + h06 * v5 + h14 * v6 + h15 * v7 + h16 * v8, all, all));
      m55 = vec4<compute_t>(activate(bd + q5 * v0 + q6 * v1 + q7 * v2 + h05 * v3 + h06 * v4 + h07 * v5 + h15 * v6 + h16 * v7 + h17 * v8, all, all));
      m56 = vec4<compute_t>(activate(bd + q6 * v0 + q7 * v1 + q8 * v2 + h06 * v3 + h07 * v4 + h08 * v5 + h16 * v6 + h17 * v7 + h18 * v8, all, all));
      m60 = vec4<compute_t>(activate(bd + h00 * v0 + h01 * v1 + h02 * v2 + h10 * v3 + h11 * v4 + h12 * v5 + h20 * v6 + h21 * v7 + h22 * v8, all, all));
      m61 = vec4<compute_t>(activate(bd + h01 * v0 + h02 * v1 + h03 * v2 + h11 * v3 + h12 * v4 + h13 * v5 + h21 * v6 + h22 * v7 + h23 * v8, all, all));
      m62 = vec4<compute_t>(activate(bd + h02 * v0 + h03 * v1 + h04 * v2 + h12 * v3 + h13 * v4 + h14 * v5 + h22 * v6 + h23 * v7 + h24 * v8, all, all));
      m63 = vec4<compute_t>(activate(bd + h03 * v0 + h04 * v1 + h05 * v2 + h13 * v3 + h14 * v4 + h15 * v5 + h23 * v6 + h24 * v7 + h25 * v8, all, all));
      m64 = vec4<compute_t>(activate(bd + h04 * v0 + h05 * v1 + h06 * v2 + h14 * v3 + h15 * v4 + h16 * v5 + h24 * v6 + h25 * v7 + h26 * v8, all, all));
      m65 = vec4<compute_t>(activate(bd + h05 * v0 + h06 * v1 + h07 * v2 + h15 * v3 + h16 * v4 + h17 * v5 + h25 * v6 + h26 * v7 + h27 * v8, all, all));
      m66 = vec4<compute_t>(activate(bd + h06 * v0 + h07 * v1 + h08 * v2 + h16 * v3 + h17 * v4 + h18 * v5 + h26 * v6 + h27 * v7 + h28 * v8, all, all));
      p0 = h10; p1 = h11; p2 = h12; p3 = h13; p4 = h14; p5 = h15; p6 = h16; p7 = h17; p8 = h18;
      q0 = h20; q1 = h21; q2 = h22; q3 = h23; q4 = h24; q5 = h25; q6 = h26; q7 = h27; q8 = h28;
      continuing {
        g += 1u;
        break if g >= layer.kernel_height;
      }
    }

    // At stride 2 the outputs are those of even rows and columns; with STRIDE the compiler drops the others.
    let turns = min(8u, layer.hidden_c4 - k);
    i = 0u;
    j = (group.x * layer.hidden_c4 + k) * 16u + lane;
    loop {
      let e0 = project_weights[j]; let e1 = project_weights[j + 8u];
      let w0 = even_row(e0); let w1 = odd_row(e0); let w2 = even_row(e1); let w3 = odd_row(e1);
      c00 = mad(c00, subgroupShuffle(m00, i), w0, w1, w2, w3);
      c01 = mad(c01, subgroupShuffle(m01, i), w0, w1, w2, w3);
      c02 = mad(c02, subgroupShuffle(m02, i), w0, w1, w2, w3);
      c03 = mad(c03, subgroupShuffle(m03, i), w0, w1, w2, w3);
      c04 = mad(c04, subgroupShuffle(m04, i), w0, w1, w2, w3);
      c05 = mad(c05, subgroupShuffle(m05, i), w0, w1, w2, w3);
      c06 = mad(c06, subgroupShuffle(m06, i), w0, w1, w2, w3);
      c10 = mad(c10, subgroupShuffle(m10, i), w0, w1, w2, w3);
      c11 = mad(c11, subgroupShuffle(m11, i), w0, w1, w2, w3);
      c12 = mad(c12, subgroupShuffle(m12, i), w0, w1, w2, w3);
      c13 = mad(c13, subgroupShuffle(m13, i), w0, w1, w2, w3);
      c14 = mad(c14, subgroupShuffle(m14, i), w0, w1, w2, w3);
      c15 = mad(c15, subgroupShuffle(m15, i), w0, w1, w2, w3);
      c16 = mad(c16, subgroupShuffle(m16, i), w0, w1, w2, w3);
      c20 = mad(c20, subgroupShuffle(m20, i), w0, w1, w2, w3);
      c21 = mad(c21, subgroupShuffle(m21, i), w0, w1, w2, w3);
      c22 = mad(c22, subgroupShuffle(m22, i), w0, w1, w2, w3);
      c23 = mad(c23, subgroupShuffle(m23, i), w0, w1, w2, w3);
      c24 = mad(c24, subgroupShuffle(m24, i), w0, w1, w2, w3);
      c25 = mad(c25, subgroupShuffle(m25, i), w0, w1, w2, w3);
      c26 = mad(c26, subgroupShuffle(m26, i), w0, w1, w2, w3);
      c30 = mad(c30, subgroupShuffle(m30, i), w0, w1, w2, w3);
      c31 = mad(c31, subgroupShuffle(m31, i), w0, w1, w2, w3);
      c32 = mad(c32, subgroupShuffle(m32, i), w0, w1, w2, w3);
      c33 = mad(c33, subgroupShuffle(m33, i), w0, w1, w2, w3);
      c34 = mad(c34, subgroupShuffle(m34, i), w0, w1, w2, w3);
      c35 = mad(c35, subgroupShuffle(m35, i), w0, w1, w2, w3);
      c36 = mad(c36, subgroupShuffle(m36, i), w0, w1, w2, w3);
      c40 = mad(c40, subgroupShuffle(m40, i), w0, w1, w2, w3);
      c41 = mad(c41, subgroupShuffle(m41, i), w0, w1, w2, w3);
      c42 = mad(c42, subgroupShuffle(m42, i), w0, w1, w2, w3);
      c43 = mad(c43, subgroupShuffle(m43, i), w0, w1, w2, w3);
      c44 = mad(c44, subgroupShuffle(m44, i), w0, w1, w2, w3);
      c45 = mad(c45, subgroupShuffle(m45, i), w0, w1, w2, w3);
      c46 = mad(c46, subgroupShuffle(m46, i), w0, w1, w2, w3);
      c50 = mad(c50, subgroupShuffle(m50, i), w0, w1, w2, w3);
      c51 = mad(c51, subgroupShuffle(m51, i), w0, w1, w2, w3);
      c52 = mad(c52, subgroupShuffle(m52, i), w0, w1, w2, w3);
      c53 = mad(c53, subgroupShuffle(m53, i), w0, w1, w2, w3);
      c54 = mad(c54, subgroupShuffle(m54, i), w0, w1, w2, w3);
      c55 = mad(c55, subgroupShuffle(m55, i), w0, w1, w2, w3);
      c56 = mad(c56, subgroupShuffle(m56, i), w0, w1, w2, w3);
      c60 = mad(c60, subgroupShuffle(m60, i), w0, w1, w2, w3);
      c61 = mad(c61, subgroupShuffle(m61, i), w0, w1, w2, w3);
      c62 = mad(c62, subgroupShuffle(m62, i), w0, w1, w2, w3);
      c63 = mad(c63, subgroupShuffle(m63, i), w0, w1, w2, w3);
      c64 = mad(c64, subgroupShuffle(m64, i), w0, w1, w2, w3);
      c65 = mad(c65, subgroupShuffle(m65, i), w0, w1, w2, w3);
      c66 = mad(c66, subgroupShuffle(m66, i), w0, w1, w2, w3);
      continuing {
        i += 1u; j += 16u;
        break if i >= turns;
      }
    }
    continuing {
      k += 8u;
      break if k >= layer.hidden_c4;
    }
  }

  if (apart) {
    c01 = c02; c02 = c04; c03 = c06;
    c10 = c20; c11 = c22; c12 = c24; c13 = c26;
    c20 = c40; c21 = c42; c22 = c44; c23 = c46;
    c30 = c60; c31 = c62; c32 = c64; c33 = c66;
    // The rest is never stored. Only so the compiler knows.
    c04 = b; c05 = b; c06 = b;
    c14 = b; c15 = b; c16 = b;
    c24 = b; c25 = b; c26 = b;
    c34 = b; c35 = b; c36 = b;
    c40 = b; c41 = b; c42 = b; c43 = b; c44 = b; c45 = b; c46 = b;
    c50 = b; c51 = b; c52 = b; c53 = b; c54 = b; c55 = b; c56 = b;
    c60 = b; c61 = b; c62 = b; c63 = b; c64 = b; c65 = b; c66 = b;
  }
  // One store site: rows move up a place a turn, and so do the columns of a row.
  let across = min(side, layer.out_width - x0);
  let down = min(side, layer.out_height - y0);
  var pixel = (image * layer.out_height + y0) * layer.out_width + x0;
  var y = 0u;
  loop {
    var d0 = c00; var d1 = c01; var d2 = c02; var d3 = c03; var d4 = c04; var d5 = c05; var d6 = c06;
    c00 = c10; c01 = c11; c02 = c12; c03 = c13; c04 = c14; c05 = c15; c06 = c16;
    c10 = c20; c11 = c21; c12 = c22; c13 = c23; c14 = c24; c15 = c25; c16 = c26;
    c20 = c30; c21 = c31; c22 = c32; c23 = c33; c24 = c34; c25 = c35; c26 = c36;
    c30 = c40; c31 = c41; c32 = c42; c33 = c43; c34 = c44; c35 = c45; c36 = c46;
    c40 = c50; c41 = c51; c42 = c52; c43 = c53; c44 = c54; c45 = c55; c46 = c56;
    c50 = c60; c51 = c61; c52 = c62; c53 = c63; c54 = c64; c55 = c65; c56 = c66;
    var x = 0u;
    loop {
      store(pixel + x, n, d0);
      d0 = d1; d1 = d2; d2 = d3; d3 = d4; d4 = d5; d5 = d6;
      continuing {
        x += 1u;
        break if x >= across;
      }
    }
    continuing {
      y += 1u; pixel += layer.out_width;
      break if y >= down;
    }
  }
}
