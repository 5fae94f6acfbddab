//! What wit-bindgen makes of `wit/policy.wit`. Authors meet these types through the crate's root.

#![allow(missing_docs, unreachable_pub, clippy::all)]

wit_bindgen::generate!({
    world: "scheduler",
    path: "wit",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    default_bindings_module: "mosel_sdk::bindings",
    generate_unused_types: true,
});
