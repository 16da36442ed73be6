//! A network of one's own from the same parts: `cargo run --example custom_network`.
//!
//! Its filters are set by hand: a Sobel pair finds edges, a pointwise layer and a pool say how many of each there are. The
//! passes and kernels are those of the big networks, and the CPU agrees with the GPU.

use mobilenet_wgpu::engine::{Engine, Input, SessionOptions};
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::graph::{Activation, Conv2d, GraphBuilder, Padding, Shape};
use mobilenet_wgpu::weights::Weights;
use mobilenet_wgpu::{Error, Model, Tensor, reference};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shape = Shape::new(32, 32, 1);
    let mut network = GraphBuilder::new();
    let input = network.input("input", shape)?;
    let padding = Padding { top: 1, left: 1, bottom: 1, right: 1 };
    let edges = network.conv2d("edges", input, Conv2d::new([3, 3], 2).padding(padding))?;
    let signs = network.conv2d("signs", edges, Conv2d::new([1, 1], 4).with_bias().with_activation(Activation::Relu))?;
    let pool = network.global_average_pool("pool", signs)?;
    let graph = network.finish(&[pool])?;

    // [Ky, Kx, Cin, Cout]: across, down.
    let sobel = vec![-1., -1., 0., -2., 1., -1., -2., 0., 0., 0., 2., 0., -1., 1., 0., 2., 1., 1.];
    // Both signs of both directions.
    let signs = vec![1., -1., 0., 0., 0., 0., 1., -1.];
    let weights = Weights::from_tensors([
        ("edges.filters", vec![3, 3, 1, 2], sobel),
        ("signs.filters", vec![1, 1, 2, 4], signs),
        ("signs.bias", vec![4], vec![0.0; 4]),
    ])?;

    // A bright square on the left half.
    let bright = |i: usize| if i % 32 < 16 && (8..24).contains(&(i / 32)) { 1.0 } else { 0.0 };
    let picture = Tensor::from_nhwc(1, shape, (0..32 * 32).map(bright).collect())?;
    let expected = reference::run(&graph, &|param| weights.evaluate(param), &picture)?;
    println!("CPU  {:?}", expected[0].data);

    match Engine::open(&AdapterOptions::default()) {
        Ok(engine) => {
            let model = Model::from_graph(graph, weights)?;
            let mut session = engine.session(&model, &SessionOptions::default())?;
            let found = session.run(Input::Tensor(&picture))?;
            println!("GPU  {:?}", found.tensors[0].1.data);
            if found.tensors[0].1.data.iter().zip(&expected[0].data).any(|(a, b)| (a - b).abs() > 1e-5) {
                return Err("GPU and CPU differ".into());
            }
        }
        Err(Error::NoAdapter(why)) => println!("GPU  none ({why})"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
