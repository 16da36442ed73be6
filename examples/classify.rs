//! A photo and a checkpoint in, the five likeliest classes out: `cargo run --example classify MODEL PHOTO`.

use mobilenet_wgpu::{Classifier, ClassifierOptions, Model, Picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(photo)) = (arguments.next(), arguments.next()) else { return Err("usage: classify MODEL PHOTO".into()) };
    let mut classifier = Classifier::new(Model::open(model)?, &ClassifierOptions::default())?;
    for prediction in &classifier.classify(&[Picture::open(photo)?], 5)?[0] {
        println!("{:6.2} %  {}", prediction.probability * 100.0, prediction.label);
    }
    Ok(())
}
