//! How a policy becomes a component: the generated exports, on top of [`Running`].

pub use crate::running::Running;

/// Makes this crate a component that is the given policy.
///
/// Expands to nothing but on `wasm32`, so that the same crate is a plain library for `cargo test`.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::mosel::policy::policy::Guest;
            use $crate::bindings::mosel::policy::types as wire;
            use $crate::export::{Running, expect_configured};

            thread_local! {
                static RUNNING: ::core::cell::RefCell<::core::option::Option<Running<$policy>>> =
                    const { ::core::cell::RefCell::new(::core::option::Option::None) };
            }

            fn running<T>(call: impl FnOnce(&mut Running<$policy>) -> T) -> T {
                RUNNING.with_borrow_mut(|running| call(expect_configured(running)))
            }

            struct Component;

            impl Guest for Component {
                fn describe() -> wire::Description {
                    $crate::export::report_panics();
                    <$policy as $crate::Policy>::describe()
                }

                fn configure(
                    config: ::std::string::String,
                    catalog: wire::Catalog,
                ) -> ::core::result::Result<(), wire::PolicyError> {
                    $crate::export::report_panics();
                    let configured = Running::configure(&config, catalog)?;
                    RUNNING.set(::core::option::Option::Some(configured));
                    ::core::result::Result::Ok(())
                }

                fn update_catalog(catalog: wire::Catalog) -> ::core::result::Result<(), wire::PolicyError> {
                    running(|running| running.update_catalog(catalog))
                }

                fn decide(snapshot: wire::Snapshot) -> ::core::result::Result<wire::Decision, wire::PolicyError> {
                    running(|running| running.decide(snapshot))
                }

                fn observe(outcomes: ::std::vec::Vec<wire::Outcome>) {
                    running(|running| running.observe(&outcomes))
                }

                fn save() -> ::std::vec::Vec<u8> {
                    running(|running| running.save())
                }

                fn restore(
                    name: ::std::string::String,
                    version: ::std::string::String,
                    state: ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<(), wire::PolicyError> {
                    running(|running| running.restore(&name, &version, &state))
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}

/// The policy that `configure` left; a server that did not call it first has broken the contract.
#[cfg(target_arch = "wasm32")]
pub fn expect_configured<P>(running: &mut Option<Running<P>>) -> &mut Running<P> {
    running.as_mut().expect("the server calls configure first")
}

/// Sends the message of a panic to the server's log; without it a panic is a bare `unreachable`.
#[cfg(target_arch = "wasm32")]
pub fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::log(crate::Level::Error, &panic.to_string())));
    });
}
