// The rate of storage reads: neighbouring threads read neighbouring values.
//
// Bindings   values [threads] of vec4 (the sums), data [a power of two] of vec4 (of u64 in a second form, made of this text)
// Mapping    A workgroup of 64 adds 4096 vec4s that stand together, 64 a thread, from the start again past the end: with data as
//            large as that each value is read once, with less it comes from the caches. SPAN threads read side by side and go
//            on where they end: what suits subgroups and prefetchers differs. Dispatch (n, 1, 1).

override SPAN: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> data: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) local: u32) {
  let mask = arrayLength(&data) - 1u;
  var a = vec4<f32>(0.0); var b = a; var c = a; var d = a;
  var i = group.x * 4096u + local / SPAN * SPAN * 64u + local % SPAN;
  for (var k = 0u; k < 16u; k++) {
    a += data[i & mask]; i += SPAN;
    b += data[i & mask]; i += SPAN;
    c += data[i & mask]; i += SPAN;
    d += data[i & mask]; i += SPAN;
  }
  values[id.x % arrayLength(&values)] = a + b + c + d;
}
