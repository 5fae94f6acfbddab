//! Compiles the C++ that tch lacks, and tells the tests where libtorch is, so that they run without exported variables.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys has `links = "tch"`: a direct dependent is given this variable
    let folder = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    println!("cargo:rustc-env=MOSEL_LIBTORCH_LIB={folder}");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    shim(Path::new(&folder));
}

/// Compiles shim/ against the headers that torch-sys is compiled with, in the same way.
fn shim(libraries: &Path) {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    // beside the libraries, in a download of libtorch as in a Python package
    let beside = libraries.parent().map(Path::to_owned);
    let root: Option<PathBuf> = std::env::var_os("LIBTORCH_INCLUDE").map(Into::into).or(beside);
    let headers = root.expect("libtorch's libraries are in a folder").join("include");
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        // libtorch's headers are large: debug information of them takes longer than the shim
        .debug(false)
        .flag("-isystem")
        .flag(&headers)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file("shim/accelerator.cpp")
        .compile("mosel_shim");
    // after the shim, which needs them; torch-sys has said where they are
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
}
