//! Checkpoints made by rule, against what the frameworks computed for them (`tests/goldens/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/rule.rs"]
mod rule;

use safetensors::SafeTensors;

#[test]
fn the_rule_gives_the_weights_that_the_oracles_had() {
    let cases = rule::cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for case in &cases {
        let tensors = case.tensors();
        for (name, index, value) in &case.probes {
            let found = tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", case.name)).values()[*index];
            assert_eq!(found.to_bits(), (*value as f32).to_bits(), "{}: {name}[{index}] is {found}, not {value}", case.name);
        }
        assert_eq!(rule::sample(&case.input_nchw(), 64), case.expected()["input"], "{}: input", case.name);
    }
}

#[test]
fn a_checkpoint_made_by_rule_is_a_safetensors_file() {
    let case = rule::case("keras_v2_100");
    let bytes = case.checkpoint();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 262);
    assert_eq!(file.tensor("mobilenetv2_1.00_224/block_10_depthwise/depthwise_kernel:0").unwrap().shape(), [3, 3, 384, 1]);
    assert_eq!(file.tensor("mobilenetv2_1.00_224/Logits/kernel:0").unwrap().shape(), [1280, 1000]);
    let (nchw, nhwc) = (case.input_nchw(), case.input_nhwc());
    assert_eq!(nhwc[(5 * 96 + 7) * 3 + 2], nchw[2 * 96 * 96 + 5 * 96 + 7]);
}
