//! What an engine asks of a device, as values: what it must have, and what it would like.

/// Features and limits that a device must have. It needs no feature, and less than WebGPU's defaults; a network may need more memory
/// than these limits allow, which its plan says.
pub fn required() -> (wgpu::Features, wgpu::Limits) {
    let limits = wgpu::Limits {
        max_bind_groups: 1,
        max_bindings_per_bind_group: 6,
        max_uniform_buffers_per_shader_stage: 1,
        max_storage_buffers_per_shader_stage: 5,
        max_sampled_textures_per_shader_stage: 2,
        max_uniform_buffer_binding_size: 256,
        max_storage_buffer_binding_size: 4 << 20,
        max_buffer_size: 4 << 20,
        max_compute_workgroup_storage_size: 1024,
        max_compute_invocations_per_workgroup: 64,
        max_compute_workgroup_size_x: 64,
        max_compute_workgroup_size_y: 8,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroups_per_dimension: 65_535,
        ..wgpu::Limits::downlevel_webgl2_defaults()
    };
    (wgpu::Features::empty(), limits)
}

/// The first of [`required`]'s limits that `found` is below: its name, what is needed and what is there.
pub(crate) fn lacking(found: &wgpu::Limits) -> Option<(&'static str, u64, u64)> {
    let (_, needed) = required();
    macro_rules! compared {
        ($($name:ident),*) => { [$((stringify!($name), needed.$name as u64, found.$name as u64)),*] };
    }
    compared![
        max_bind_groups,
        max_bindings_per_bind_group,
        max_uniform_buffers_per_shader_stage,
        max_storage_buffers_per_shader_stage,
        max_sampled_textures_per_shader_stage,
        max_uniform_buffer_binding_size,
        max_storage_buffer_binding_size,
        max_buffer_size,
        max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x,
        max_compute_workgroup_size_y,
        max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension
    ]
    .into_iter()
    .find(|(_, needed, found)| found < needed)
}

/// Features that the engine would like and limits that it would use on `adapter`: all that is there of them. f16, 64-bit integers and
/// subgroups are for more kernels, timestamps for measuring, the pipeline cache for a quick start; larger limits allow larger batches.
pub fn wanted(adapter: &wgpu::Adapter) -> (wgpu::Features, wgpu::Limits) {
    use wgpu::Features as F;
    let liked = F::SHADER_F16 | F::SHADER_INT64 | F::SUBGROUP | F::TIMESTAMP_QUERY | F::PIPELINE_CACHE;
    let has = adapter.limits();
    let limits = wgpu::Limits {
        max_buffer_size: has.max_buffer_size,
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: has.max_storage_buffers_per_shader_stage.min(8),
        max_compute_workgroup_storage_size: has.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: has.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: has.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: has.max_compute_workgroup_size_y,
        max_texture_dimension_2d: has.max_texture_dimension_2d,
        min_uniform_buffer_offset_alignment: has.min_uniform_buffer_offset_alignment,
        min_storage_buffer_offset_alignment: has.min_storage_buffer_offset_alignment,
        ..wgpu::Limits::downlevel_defaults()
    };
    (adapter.features() & liked, limits)
}
