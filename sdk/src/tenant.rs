//! How a tenant's name becomes the number that jobs carry.

/// The number of the tenant of this name, to compare with [`Job::tenant`](crate::Job): the FNV-1a hash (64 bits) of its
/// UTF-8, the same on every server. 0, nobody, for the empty name.
///
/// ```
/// assert_eq!(mosel_sdk::tenant("foobar"), 0x8594_4171_f739_67e8);
/// assert_eq!(mosel_sdk::tenant(""), 0);
/// ```
pub const fn tenant(name: &str) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return 0;
    }
    let (mut hash, mut at) = (OFFSET_BASIS, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(PRIME);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        // From the test suite of the algorithm's authors (Fowler, Noll, Vo).
        assert_eq!(tenant("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(tenant("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn tenants_are_the_servers() {
        for name in ["", "acme", "Zoë's café", "0", "a rather long name with spaces in it"] {
            assert_eq!(tenant(name), mosel_core::Tenant::named(name).0, "{name}");
        }
    }
}
