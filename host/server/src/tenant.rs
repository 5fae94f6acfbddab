//! Names of tenants.

use std::sync::Arc;

/// Bytes of a tenant's name.
const MAX_BYTES: usize = 64;

/// The tenant of this name. Letters and digits of any script, and visible ASCII: two names that look alike to nobody are
/// two names.
pub(crate) fn check_tenant(name: &str) -> Result<Arc<str>, String> {
    let visible = |char: char| char.is_alphanumeric() || char.is_ascii_graphic();
    if (1..=MAX_BYTES).contains(&name.len()) && name.chars().all(visible) {
        return Ok(name.into());
    }
    Err(format!("expected tenant to be 1 to {MAX_BYTES} bytes of visible characters, got {name:?}"))
}
