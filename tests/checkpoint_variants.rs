//! Checkpoints as they are found: prefixes, suffixes, other heads, other names, settings from several places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/checkpoint.rs"]
mod checkpoint;
#[path = "common/rule.rs"]
mod rule;

use checkpoint::{Checkpoint, Entry};
use mobilenet_wgpu::graph::{Activation, Conv2d, GraphBuilder, Shape};
use mobilenet_wgpu::model::{LoadOptions, Model, PaddingRule, Settings};
use mobilenet_wgpu::picture::{Interpolation, Resize};
use mobilenet_wgpu::weights::Weights;
use mobilenet_wgpu::{Error, Tensor, reference};
use std::collections::BTreeMap;

fn of(case: &str) -> Checkpoint {
    Checkpoint::parse(&rule::case(case).checkpoint())
}

fn load(checkpoint: &Checkpoint) -> Model {
    try_load(checkpoint).unwrap_or_else(|e| panic!("{e}"))
}

fn try_load(checkpoint: &Checkpoint) -> Result<Model, Error> {
    Model::from_bytes(checkpoint.bytes(), &LoadOptions::default())
}

/// Same network, same weights.
fn assert_same(a: &Model, b: &Model, what: &str) {
    assert_eq!(a.config(), b.config(), "{what}");
    assert_eq!(a.weights().names(), b.weights().names(), "{what}");
    for name in a.weights().names() {
        assert_eq!(a.weights().get(name).unwrap(), b.weights().get(name).unwrap(), "{what}: {name}");
    }
}

#[test]
fn any_prefix_and_suffix() {
    for case in [
        "torchvision_v2_035",
        "timm_mobilenetv1_100_32x32",
        "transformers_v2_050_coarse",
        "keras_v1_050_odd",
        "tf_slim_v2_035",
        "caffe_v1_025_folded",
    ] {
        let plain = of(case).renamed(|name| name.trim_end_matches(":0").to_string());
        let expected = load(&plain);
        for prefix in ["module.", "model.", "backbone.", "mobilenetv2_1.00_224/", "state_dict/model.module."] {
            for suffix in ["", ":0"] {
                let found = load(&plain.renamed(|name| format!("{prefix}{name}{suffix}")));
                assert_same(&expected, &found, &format!("{case} {prefix} {suffix}"));
                assert!(found.recognition().prefix.starts_with(prefix), "{}", found.recognition().prefix);
            }
        }
    }
}

#[test]
fn a_classifier_may_stand_outside_the_prefix() {
    let wrapped = |name: &str| if name.starts_with("classifier") { name.to_string() } else { format!("backbone.{name}") };
    let plain = of("torchvision_v2_035");
    assert_same(&load(&plain), &load(&plain.renamed(wrapped)), "torchvision");
    // transformers' bare models have no `mobilenet_v1.` in front, its classifiers stand beside it.
    let plain = of("transformers_v1_060");
    let bare = plain.renamed(|name| name.replace("mobilenet_v1.", ""));
    assert_same(&load(&plain), &load(&bare), "transformers");
    let both = plain.renamed(|name| format!("module.{name}"));
    assert_same(&load(&plain), &load(&both), "transformers under module.");
}

#[test]
fn tensors_that_are_not_needed_are_listed() {
    let count = Entry { dtype: safetensors::Dtype::I64, shape: vec![], bytes: vec![0; 8] };
    let more = of("tf_slim_v1_060")
        .with("MobilenetV1/Conv2d_0/weights/Momentum", Entry::filled(&[3, 3, 3, 19], f32::NAN))
        .with("MobilenetV1/Logits/Conv2d_1c_1x1/biases/Momentum", Entry::filled(&[10], 0.0))
        .with("steps", count);
    let model = load(&more);
    let unused = &model.recognition().unused;
    assert_eq!(unused.len(), 4, "{unused:?}");
    assert!(unused.contains(&"global_step".to_string()) && unused.contains(&"steps".to_string()));
    assert_eq!(model.config().unwrap().classes, Some(10));
}

#[test]
fn heads_of_one_dense_layer_count() {
    let plain = of("torchvision_v2_035");
    let expected = load(&plain);
    for head in ["classifier", "classifier.0", "classifier.4", "fc", "head.fc"] {
        let found = load(&plain.renamed(|name| name.replace("classifier.1", head)));
        assert_same(&expected, &found, head);
    }
    let keras = of("keras_v2_035");
    for head in ["dense", "dense_3", "Logits"] {
        assert_eq!(load(&keras.renamed(|name| name.replace("predictions", head))).config().unwrap().classes, Some(10), "{head}");
    }
}

#[test]
fn other_heads_are_reported() {
    let two = of("torchvision_v2_035")
        .with("classifier.4.weight", Entry::filled(&[3, 10], 0.0))
        .with("classifier.4.bias", Entry::filled(&[3], 0.0));
    let model = load(&two);
    assert_eq!(model.config().unwrap().classes, None);
    assert!(model.recognition().notes[0].contains("classifier.4"), "{:?}", model.recognition().notes);
    assert_eq!(model.recognition().unused.iter().filter(|n| n.starts_with("classifier")).count(), 4);
    let with_norm = of("torchvision_v2_035").with("classifier.2.running_mean", Entry::filled(&[10], 0.0));
    assert_eq!(load(&with_norm).config().unwrap().classes, None);
    assert!(load(&of("torchvision_v2_050_backbone")).recognition().notes.is_empty());
}

#[test]
fn maps_rename_tensors() {
    let plain = of("torchvision_v2_060_folded");
    let expected = load(&plain);
    let odd = plain.renamed(|name| name.replace("features.0.0", "first").replace("features.18.0", "final"));
    assert!(try_load(&odd).is_err());
    let mut options = LoadOptions::default();
    for part in ["weight", "bias"] {
        options.name_map.insert(format!("module.first.{part}"), format!("module.features.0.0.{part}"));
        options.name_map.insert(format!("module.final.{part}"), format!("module.features.18.0.{part}"));
    }
    assert_same(&expected, &Model::from_bytes(odd.bytes(), &options).unwrap(), "map");
    options.name_map.insert("module.nothing".into(), "features.0.0.weight".into());
    let error = Model::from_bytes(odd.bytes(), &options).unwrap_err().to_string();
    assert!(error.contains("module.nothing"), "{error}");
}

/// Our own names are a scheme too: what a program writes, and where a map can lead.
#[test]
fn own_names_are_read() {
    for case in ["torchvision_v2_035", "timm_mobilenetv1_100_32x32", "gluoncv_v2_060"] {
        let model = load(&of(case));
        let weights = model.weights();
        let mut own = Checkpoint::default();
        for name in weights.names() {
            own = own.with(name, Entry::f32(&weights.shape(name).unwrap(), &weights.get(name).unwrap()));
        }
        let config = model.config().unwrap();
        let strides: Vec<String> = config.strides().iter().map(u32::to_string).collect();
        let found = load(&own.with_metadata("strides", &strides.join(",")));
        assert_eq!(found.recognition().scheme, "mobilenet-wgpu");
        assert_same(&model, &found, case);
    }
}

#[test]
fn scale_false_reads_as_ones() {
    let mut plain = of("keras_v2_035");
    plain.tensors.retain(|name, _| !name.ends_with("/gamma"));
    let model = load(&plain);
    assert_eq!(model.weights().get("block3.expand.norm.gamma").unwrap(), vec![1.0; 48]);
    plain.tensors.retain(|name, _| !name.ends_with("/beta"));
    assert_eq!(load(&plain).weights().get("stem.norm.beta").unwrap(), vec![0.0; 16]);
}

#[test]
fn convolutions_may_have_both_bias_and_norm() {
    let plain = of("keras_v1_050_odd").with("conv_pw_3/bias", Entry::filled(&[64], 0.5));
    let model = load(&plain);
    assert!(model.config().unwrap().conv_bias);
    assert_eq!(model.weights().get("block3.pointwise.bias").unwrap(), vec![0.5; 64]);
    assert_eq!(model.weights().get("stem.bias").unwrap(), vec![0.0; 16]);
}

/// Caffe's blobs by number, with the count that divides mean and variance.
#[test]
fn caffe_blobs_by_number() {
    let plain = of("caffe_v1_050").renamed(|name| name.trim_start_matches("models.").to_string());
    let expected = load(&plain);
    let mut blobs = plain.renamed(|name| {
        let pairs = [
            ("/scale.weight", "/scale.0"),
            ("/scale.bias", "/scale.1"),
            ("/bn.running_mean", "/bn.0"),
            ("/bn.running_var", "/bn.1"),
            (".weight", ".0"),
            (".bias", ".1"),
        ];
        pairs.iter().find_map(|(from, to)| Some(format!("{}{to}", name.strip_suffix(from)?))).unwrap()
    });
    for (name, entry) in blobs.tensors.clone() {
        if name.ends_with("/bn.0") || name.ends_with("/bn.1") {
            let doubled: Vec<f32> = entry.values().iter().map(|v| v * 4.0).collect();
            blobs = blobs
                .with(&name, Entry::f32(&entry.shape, &doubled))
                .with(&format!("{}2", &name[..name.len() - 1]), Entry::f32(&[1], &[4.0]));
        }
    }
    assert_same(&expected, &load(&blobs), "blobs");
}

/// GluonCV's newer files name tensors by structure.
#[test]
fn gluon_by_structure() {
    let leaf = |name: &str| {
        ["running_mean", "running_var", "weight", "bias", "gamma", "beta"].iter().find(|l| name.ends_with(**l)).unwrap().to_string()
    };
    let number = |name: &str, after: &str| -> usize {
        let rest = &name[name.find(after).unwrap() + after.len()..];
        rest[..rest.find('_').unwrap()].parse().unwrap()
    };
    let plain = of("gluoncv_v1_050");
    let by_structure = plain.renamed(|name| match name {
        n if n.contains("dense0") => format!("output.{}", leaf(n)),
        n if n.contains("_conv") => format!("features.{}.{}", 3 * number(n, "_conv"), leaf(n)),
        n => format!("features.{}.{}", 3 * number(n, "_batchnorm") + 1, leaf(n)),
    });
    assert_same(&load(&plain), &load(&by_structure), "V1");
    let plain = of("gluoncv_v2_060");
    let by_structure = plain.renamed(|name| {
        if name.contains("output_pred") {
            return format!("output.0.{}", leaf(name));
        }
        let norm = name.contains("batchnorm");
        let k = number(name, if norm { "_batchnorm" } else { "_conv" });
        match name.contains("linearbottleneck") {
            true => format!("features.{}.out.{}.{}", number(name, "linearbottleneck") + 3, 3 * k + usize::from(norm), leaf(name)),
            false => format!("features.{}.{}", 20 * k + usize::from(norm), leaf(name)),
        }
    });
    assert_same(&load(&plain), &load(&by_structure), "V2");
}

/// Flat `features.N.conv.K`, as older PyTorch ports keep it.
#[test]
fn torchvision_flat() {
    let plain = of("torchvision_v2_035");
    let flat = plain.renamed(|name| {
        let parts: Vec<&str> = name.split('.').collect();
        let ["features", n, "conv", rest @ ..] = parts.as_slice() else { return name.to_string() };
        let (at, leaf) = match rest {
            [a, b, leaf] => (3 * a.parse::<usize>().unwrap() + b.parse::<usize>().unwrap(), leaf),
            [k, leaf] => {
                let (k, first) = (k.parse::<usize>().unwrap(), if *n == "1" { 1 } else { 2 });
                (3 * first + k - first, leaf)
            }
            _ => unreachable!(),
        };
        format!("features.{n}.conv.{at}.{leaf}")
    });
    assert_same(&load(&plain), &load(&flat), "flat");
}

#[test]
fn depths_of_their_own_need_strides_only_where_stages_do_not_tell() {
    // Sixteen blocks in seven runs of channels: the stages are seen.
    let model = load(&without_block_16("torchvision_v2_100"));
    assert_eq!(model.config().unwrap().stages, [1, 2, 3, 4, 3, 2, 1]);
    assert_eq!(model.config().unwrap().strides(), [2, 1, 2, 2, 2, 1, 2, 1]);
    // At width 0.6 the first two stages have 16 channels both, and nothing tells them apart.
    let narrow = without_block_16("torchvision_v2_060_folded");
    assert!(matches!(try_load(&narrow), Err(Error::Option { option: "strides", .. })));
    let model = load(&narrow.with_metadata("strides", "2,1,2,2,1,2,1"));
    assert_eq!(model.config().unwrap().stages, [3, 3, 4, 3, 2, 1]);
}

fn without_block_16(case: &str) -> Checkpoint {
    let mut plain = of(case).renamed(|name| name.trim_start_matches("module.").to_string());
    plain.tensors.retain(|name, _| !name.starts_with("features.16."));
    plain.renamed(|name| match name.strip_prefix("features.").and_then(|n| n.split_once('.')) {
        Some((n @ ("17" | "18"), rest)) => format!("features.{}.{rest}", n.parse::<u32>().unwrap() - 1),
        _ => name.to_string(),
    })
}

#[test]
fn the_later_setting_wins() {
    let plain = of("transformers_v1_060")
        .with_metadata("padding", "symmetric")
        .with_metadata("bn_eps", "1e-4")
        .with_metadata("activation", "relu")
        .with_metadata("input_size", "96x128");
    let config = r#"{"model_type": "mobilenet_v1", "tf_padding": true, "layer_norm_eps": 1e-5, "image_size": 192}"#;
    let model = load(&plain);
    let found = |m: &Model| (m.config().unwrap().padding, m.config().unwrap().batch_norm, m.config().unwrap().activation, m.input_size());
    assert_eq!(found(&model), (PaddingRule::Symmetric, Some(1e-4), Activation::Relu, [96, 128]));
    let mut options = LoadOptions { config_json: Some(config.into()), ..LoadOptions::default() };
    let model = Model::from_bytes(plain.bytes(), &options).unwrap();
    assert_eq!(found(&model), (PaddingRule::Same, Some(1e-5), Activation::Relu, [192, 192]));
    options.settings = Settings {
        bn_eps: Some(0.5),
        input_size: Some([33, 44]),
        activation: Some(Activation::Relu6),
        padding: Some(PaddingRule::Symmetric),
        ..Settings::default()
    };
    let model = Model::from_bytes(plain.bytes(), &options).unwrap();
    assert_eq!(found(&model), (PaddingRule::Symmetric, Some(0.5), Activation::Relu6, [33, 44]));
    let why = model.recognition().why.join("\n");
    assert!(why.contains("config.json sets padding same") && why.contains("options sets"), "{why}");
}

#[test]
fn preprocessing_follows_the_scheme_and_can_be_overridden() {
    let timm = load(&of("timm_mobilenetv2_035"));
    assert_eq!(timm.preprocessing().interpolation, Interpolation::Bicubic);
    let case = rule::case("timm_mobilenetv1_100");
    let options = LoadOptions {
        config_json: case.config_json(),
        settings: Settings { crop_pct: Some(0.95), ..Settings::default() },
        ..LoadOptions::default()
    };
    let model = Model::from_bytes(case.checkpoint(), &options).unwrap();
    assert_eq!(model.preprocessing().resize, Resize::CentreCrop { crop_pct: 0.95 });
    assert_eq!(model.preprocessing().mean, [0.5; 3]);
    let squash = Settings { resize: Some(Resize::Squash), ..Settings::default() };
    let model = Model::from_bytes(case.checkpoint(), &LoadOptions { settings: squash, ..options }).unwrap();
    assert_eq!(model.preprocessing().resize, Resize::Squash);
}

#[test]
fn labels_come_from_anywhere() {
    let ten: Vec<String> = (0..10).map(|i| format!("thing {i}")).collect();
    let plain = of("torchvision_v2_035");
    assert!(load(&plain).labels().is_empty());
    assert_eq!(load(&plain).labels().get(3).0, "class 3");
    let json = serde_json::to_string(&ten).unwrap();
    assert_eq!(load(&plain.clone().with_metadata("labels", &json)).labels().get(3).0, "thing 3");
    let options = LoadOptions { settings: Settings { labels: Some(ten[..4].to_vec()), ..Settings::default() }, ..LoadOptions::default() };
    assert!(matches!(Model::from_bytes(plain.bytes(), &options), Err(Error::Option { option: "labels", .. })));
    let short = load(&plain.with_metadata("labels", r#"["a"]"#));
    assert!(short.labels().is_empty() && short.recognition().notes.len() == 1);
    let slim = load(&of("tf_slim_v2_100"));
    assert_eq!((slim.labels().get(0).0.as_ref(), slim.labels().get(1).1), ("background", Some("n01440764")));
    let case = rule::case("transformers_v1_025_config");
    let options = LoadOptions { config_json: case.config_json(), ..LoadOptions::default() };
    assert_eq!(Model::from_bytes(case.checkpoint(), &options).unwrap().labels().get(3).0, "newt");
}

#[test]
fn folders_are_read_with_what_lies_in_them() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("mobilenet_v1_0.25_128");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let case = rule::case("transformers_v1_025_config");
    std::fs::write(folder.join("weights.safetensors"), case.checkpoint()).unwrap();
    assert_eq!(Model::open(&folder).unwrap().input_size(), [128, 128], "the name says so");
    std::fs::write(folder.join("config.json"), case.config_json().unwrap()).unwrap();
    let model = Model::open(&folder).unwrap();
    assert_eq!((model.input_size(), model.labels().get(0).0.as_ref()), ([224, 224], "cat"));
    assert_same(&model, &Model::open(folder.join("weights.safetensors")).unwrap(), "the file in it");
    std::fs::write(folder.join("config.json"), "{").unwrap();
    assert!(Model::open(&folder).unwrap_err().to_string().contains("config.json"));
}

/// A network that is no MobileNet, with weights by its graph's names.
#[test]
fn programs_bring_their_own_networks() {
    let mut g = GraphBuilder::new();
    let x = g.input("input", Shape::new(4, 4, 3)).unwrap();
    let x = g.conv2d("conv", x, Conv2d::new([1, 1], 2).with_bias()).unwrap();
    let x = g.global_average_pool("pool", x).unwrap();
    let graph = g.finish(&[x]).unwrap();
    let weights = |filters: Vec<usize>| {
        let values = vec![1.0; filters.iter().product()];
        Weights::from_tensors([("conv.filters", filters, values), ("conv.bias", vec![2], vec![0.5, -0.5])]).unwrap()
    };
    let model = Model::from_graph(graph.clone(), weights(vec![1, 1, 3, 2])).unwrap();
    let input = Tensor::from_nhwc(1, Shape::new(4, 4, 3), vec![1.0; 48]).unwrap();
    let out = reference::run(&model.graph(None).unwrap(), &|p| model.weights().evaluate(p), &input).unwrap();
    assert_eq!(out[0].data, [3.5, 2.5]);
    assert!(model.graph(Some([8, 8])).is_err());
    let error = Model::from_graph(graph.clone(), weights(vec![1, 1, 2, 3])).unwrap_err().to_string();
    assert!(error.contains("conv.filters") && error.contains("[1, 1, 3, 2]"), "{error}");
    let none = Weights::from_tensors(BTreeMap::<String, ()>::new().into_iter().map(|(n, ())| (n, vec![], vec![]))).unwrap();
    assert!(Model::from_graph(graph, none).unwrap_err().to_string().contains("conv.filters"));
}
