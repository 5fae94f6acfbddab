//! Tells the tests where libtorch is, so that they run without any exported variable.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys has `links = "tch"`: only a direct dependent is given this variable, and only when libtorch is linked.
    let folder = std::env::var("DEP_TCH_LIBTORCH_LIB").unwrap_or_default();
    println!("cargo:rustc-env=MOSEL_LIBTORCH_LIB={folder}");
    if !folder.is_empty() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
