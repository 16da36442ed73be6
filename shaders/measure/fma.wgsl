// The rate of multiply-adds: eight independent chains of vec4 a thread, so that latencies overlap.
//
// Bindings   values [threads] of vec4
// Mapping    A thread does 256 steps of 8 vec4 multiply-adds: 16,384 operations. Dispatch (n, 1, 1), 64 threads a workgroup.

@group(0) @binding(0) var<storage, read_write> values: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x % arrayLength(&values);
  let x = vec4<f32>(0.999);
  let y = vec4<f32>(f32(id.x) * 1e-6);
  var a = y; var b = y + 1.0; var c = y + 2.0; var d = y + 3.0;
  var e = y + 4.0; var f = y + 5.0; var g = y + 6.0; var h = y + 7.0;
  for (var k = 0u; k < 256u; k++) {
    a = fma(a, x, y); b = fma(b, x, y); c = fma(c, x, y); d = fma(d, x, y);
    e = fma(e, x, y); f = fma(f, x, y); g = fma(g, x, y); h = fma(h, x, y);
  }
  values[i] = a + b + c + d + e + f + g + h;
}
