//! `bindgen IN.wasm OUT_FOLDER`: an ES module for browsers and its types, as `wasm-bindgen --target web` writes them.

use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else {
        eprintln!("usage: bindgen IN.wasm OUT_FOLDER");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    // The glue finds the WebAssembly beside itself.
    let made =
        bindgen.input_path(input).omit_default_module_path(false).web(true).and_then(|bindgen| bindgen.typescript(true).generate(output));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {input}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
