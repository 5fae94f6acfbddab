//! Tells `mosel-torch` where libtorch is, so that it runs without any exported variable.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys has `links = "tch"`: only a direct dependent is given this variable, and only when libtorch is linked.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg-bin=mosel-torch=-Wl,-rpath,{folder}");
    }
}
