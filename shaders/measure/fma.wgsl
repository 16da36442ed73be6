// The rate of multiply-adds: independent chains of vec4 a thread, so that latencies overlap. Adapters differ in how many
// chains they want: what does not fit their registers goes to memory.
//
// Bindings   values [threads] of vec4
// Mapping    A thread does 256 steps of 2 (`narrow`) or 8 (`wide`) vec4 multiply-adds. Dispatch (n, 1, 1), 64 threads a workgroup.

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
