//! The shipped policies, as WebAssembly components. `build.rs` compiles them from the folders beside this one.

/// Name and component of every shipped policy.
pub const SHIPPED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The component of this name.
pub fn shipped(name: &str) -> Option<&'static [u8]> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_policy_is_a_component() {
        const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
        assert!(SHIPPED.iter().all(|(_, bytes)| bytes.starts_with(COMPONENT)));
    }

    #[test]
    fn policies_are_found_by_name() {
        assert!(shipped("greedy").is_some());
        assert!(shipped("lazy").is_none());
    }
}
