// Work of a known size: a chain of dependent multiply-adds, to see whether timestamps tell the time.
//
// Bindings   values [invocations]
// Mapping    A thread makes one value with 4096 steps. Dispatch (n, 1, 1), 64 values a workgroup.

@group(0) @binding(0) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var v = f32(id.x) * 0.001;
  for (var i = 0u; i < 4096u; i++) { v = fma(v, 0.999, 0.001); }
  values[id.x] = v;
}
