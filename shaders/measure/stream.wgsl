// The rate of storage reads: every vec4 of a buffer once, neighbouring threads neighbouring values.
//
// Bindings   values [threads] of vec4 (the sums), data [16 * threads] of vec4
// Mapping    A thread adds 16 vec4s. Dispatch (threads / 64, 1, 1), 64 threads a workgroup.

@group(0) @binding(0) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> data: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let threads = groups.x * 64u;
  var sum = vec4<f32>(0.0);
  for (var k = 0u; k < 16u; k++) { sum += data[id.x + k * threads]; }
  values[id.x % arrayLength(&values)] = sum;
}
