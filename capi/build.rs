//! Names the shared library as `install.sh` asks: its number is for what is installed, while tests and Android link the file as
//! cargo names it.

fn main() {
    println!("cargo:rerun-if-env-changed=MOBILENET_LINK_ARG");
    if let Ok(argument) = std::env::var("MOBILENET_LINK_ARG") {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
