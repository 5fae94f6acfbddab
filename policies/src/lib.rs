//! The shipped policies and the examples, as WebAssembly components. `build.rs` compiles them from the folders beside
//! this one.

/// Name and component of every shipped policy.
pub const SHIPPED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Name and component of every example: policies to learn from, which no server offers by itself.
pub const EXAMPLES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// The shipped component of this name.
pub fn shipped(name: &str) -> Option<&'static [u8]> {
    find(SHIPPED, name)
}

/// The example of this name.
pub fn example(name: &str) -> Option<&'static [u8]> {
    find(EXAMPLES, name)
}

fn find(components: &[(&str, &'static [u8])], name: &str) -> Option<&'static [u8]> {
    components.iter().find(|(theirs, _)| *theirs == name).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_a_component() {
        const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
        for (name, bytes) in SHIPPED.iter().chain(EXAMPLES) {
            assert!(bytes.starts_with(COMPONENT), "{name}");
            assert!(contains(bytes, b"mosel:policy/policy@0.1.0"), "{name} exports no policy");
        }
    }

    /// What a guest may import is the server's; these are what a careless dependency brings along.
    #[test]
    fn no_policy_imports_what_a_server_does_not_offer() {
        for (name, bytes) in SHIPPED.iter().chain(EXAMPLES) {
            assert!(contains(bytes, b"mosel:policy/host@0.1.0"), "{name}");
            for foreign in [&b"wasi"[..], b"wbindgen", b"__wbg"] {
                assert!(!contains(bytes, foreign), "{name} has {}", foreign.escape_ascii());
            }
        }
    }

    fn contains(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn policies_are_found_by_name() {
        assert!(shipped("greedy").is_some());
        assert!(shipped("lazy").is_none());
        assert!(example("tenant-weights").is_some());
        assert!(example("cheapest").is_some());
    }

    #[test]
    fn examples_are_not_shipped() {
        assert!(EXAMPLES.iter().all(|(name, _)| shipped(name).is_none()));
        assert!(SHIPPED.iter().all(|(name, _)| example(name).is_none()));
    }
}
