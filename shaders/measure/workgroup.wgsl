// What workgroups cost: reads of workgroup memory, barriers, and being dispatched at all.
//
// Bindings   values [threads] of vec4
// Mapping    `reads`: a thread adds 256 vec4s of the workgroup's 64; `barriers`: 256 of them; `empty`: nothing that is done.
//            Dispatch (n, 1, 1), 64 threads a workgroup.

@group(0) @binding(0) var<storage, read_write> values: array<vec4<f32>>;
var<workgroup> tile: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn reads(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  tile[local] = vec4<f32>(f32(id.x));
  workgroupBarrier();
  var a = vec4<f32>(0.0); var b = a; var c = a; var d = a;
  for (var k = 0u; k < 64u; k++) {
    a += tile[(local + k) & 63u]; b += tile[(local + k + 16u) & 63u];
    c += tile[(local + k + 32u) & 63u]; d += tile[(local + k + 48u) & 63u];
  }
  values[id.x % arrayLength(&values)] = a + b + c + d;
}

@compute @workgroup_size(64)
fn barriers(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  for (var k = 0u; k < 256u; k++) {
    // One value goes round, so that no barrier can be left out.
    if (local == (k & 63u)) { tile[0].x = f32(k); }
    workgroupBarrier();
  }
  values[id.x % arrayLength(&values)] = tile[0];
}

@compute @workgroup_size(64)
fn empty(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x == 0xffffffffu) { values[0] = vec4<f32>(0.0); }
}
