// The rate of multiply-adds: independent chains of vec4 a thread, so that latencies overlap. Adapters differ in how many
// chains they want (what does not fit their registers goes to memory), and in how they are best written: llvmpipe masks what
// a turn of a loop changes, and orders what stands in one chain by chain, so `narrow` and `wide` get half of what it can do, or less.
//
// Bindings   values [threads] of vec4
// Mapping    A thread does 256 steps of 2 (`narrow`) or 8 (`wide`) vec4 multiply-adds, or of 6 times 4 (`tile`, as a pointwise
//            convolution has them, if values has 4096 elements). Dispatch (n, 1, 1), 64 threads a workgroup.

alias compute_t = f32;

@group(0) @binding(0) var<storage, read_write> values: array<vec4<f32>>;

@compute @workgroup_size(64)
fn narrow(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = vec4<compute_t>(compute_t(0.999));
  let y = vec4<compute_t>(compute_t(id.x & 255u) * compute_t(0.0001));
  var a = y; var b = y + x;
  for (var k = 0u; k < 256u; k++) { a = fma(a, x, y); b = fma(b, x, y); }
  values[id.x % arrayLength(&values)] = vec4<f32>(a + b);
}

@compute @workgroup_size(64)
fn wide(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = vec4<compute_t>(compute_t(0.999));
  let y = vec4<compute_t>(compute_t(id.x & 255u) * compute_t(0.0001));
  var a = y; var b = a + x; var c = b + x; var d = c + x;
  var e = d + x; var f = e + x; var g = f + x; var h = g + x;
  for (var k = 0u; k < 256u; k++) {
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y); d = fma(d, x, y);
    e = fma(e, x, y); f = fma(f, x, y); g = fma(g, x, y); h = fma(h, x, y);
  }
  values[id.x % arrayLength(&values)] = vec4<f32>(a + b + c + d + e + f + g + h);
}

// Four values of one chain times four weight vectors, added to another; each differs from the others, so none can be shared.
fn mad(sum: vec4<compute_t>, x: vec4<compute_t>, w0: vec4<compute_t>, w1: vec4<compute_t>, w2: vec4<compute_t>, w3: vec4<compute_t>) -> vec4<compute_t> {
  return sum + x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3;
}

// Eight steps a turn, and a number of turns that the compiler cannot see: unrolled further, it no longer fits the caches of
// instructions. The weights are so small that 256 steps stay within f16.
@compute @workgroup_size(64)
fn tile(@builtin(global_invocation_id) id: vec3<u32>) {
  let w0 = vec4<compute_t>(compute_t(0.002)) + vec4<compute_t>(id.xxxx & vec4<u32>(255u, 127u, 63u, 31u)) * compute_t(0.00001);
  let w1 = w0.yzwx * compute_t(1.5); let w2 = w0.zwxy * compute_t(1.25); let w3 = w0.wxyz * compute_t(1.125);
  var a = w0; var b = w1 + compute_t(1.0); var c = w2 + compute_t(2.0);
  var d = w3 + compute_t(3.0); var e = w0 + compute_t(4.0); var f = w1 + compute_t(5.0);
  let turns = arrayLength(&values) / 128u;
  for (var k = 0u; k < turns; k++) {
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
    a = mad(a, b, w0, w1, w2, w3); b = mad(b, c, w0, w1, w2, w3); c = mad(c, d, w0, w1, w2, w3);
    d = mad(d, e, w0, w1, w2, w3); e = mad(e, f, w0, w1, w2, w3); f = mad(f, a, w0, w1, w2, w3);
  }
  values[id.x % arrayLength(&values)] = vec4<f32>(a + b + c + d + e + f);
}
