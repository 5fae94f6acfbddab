//! Is this a policy, and one for this server? Answered before any of its code runs.

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::LoadError;

const MAJOR_MINOR: (u64, u64) = (0, 1);
const PACKAGE: &str = "mosel:policy/";
/// The functions of `host`.
const HOST_FUNCTIONS: [&str; 4] = ["log", "now", "remaining", "random"];

/// Tells components from modules, and both from anything else.
pub(crate) fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm { bytes: bytes.len() }),
    }
}

/// Checks that the component exports a policy and imports nothing but the host.
pub(crate) fn check_names(component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(component.engine()).map(|(name, _)| name).collect();
    let imports: Vec<&str> = ty.imports(component.engine()).map(|(name, _)| name).collect();
    check(&exports, &imports)?;
    for (name, item) in ty.imports(component.engine()) {
        if let (Some(_), ComponentItem::ComponentInstance(host)) = (version_of(name, "host"), &item.ty) {
            check_host(host.exports(component.engine()).map(|(name, item)| (name, item.ty)))?;
        }
    }
    Ok(())
}

/// A function that is not there would be missed at linking only, where wasmtime's words are for its own users.
fn check_host<'a>(mut wanted: impl Iterator<Item = (&'a str, ComponentItem)>) -> Result<(), LoadError> {
    let unknown = |(name, item): &(&str, ComponentItem)| {
        matches!(item, ComponentItem::ComponentFunc(_)) && !HOST_FUNCTIONS.contains(name)
    };
    wanted.find(unknown).map_or(Ok(()), |(name, _)| Err(LoadError::UnknownHostFunction(name.into())))
}

fn check(exports: &[&str], imports: &[&str]) -> Result<(), LoadError> {
    let policy = exports.iter().find_map(|name| version_of(name, "policy"));
    let policy = policy.ok_or_else(|| LoadError::NoPolicy(list(exports)))?;
    check_version(policy)?;
    for name in imports {
        let host = version_of(name, "host").or_else(|| version_of(name, "types"));
        check_version(host.ok_or_else(|| LoadError::ForbiddenImport((*name).into()))?)?;
    }
    Ok(())
}

/// The version behind `mosel:policy/INTERFACE@`.
fn version_of<'a>(name: &'a str, interface: &str) -> Option<&'a str> {
    name.strip_prefix(PACKAGE)?.strip_prefix(interface)?.strip_prefix('@')
}

fn check_version(version: &str) -> Result<(), LoadError> {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    if (numbers.next().flatten(), numbers.next().flatten()) == (Some(MAJOR_MINOR.0), Some(MAJOR_MINOR.1)) {
        return Ok(());
    }
    Err(LoadError::WrongVersion { built_for: version.into() })
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CONTRACT_VERSION;

    const POLICY: &str = "mosel:policy/policy@0.1.0";
    const HOST: &str = "mosel:policy/host@0.1.0";

    #[test]
    fn the_contract_s_version_is_the_one_spoken() {
        assert_eq!(check_version(CONTRACT_VERSION), Ok(()));
        let contract = include_str!("../../../sdk/wit/policy.wit");
        assert!(contract.contains(&format!("package mosel:policy@{CONTRACT_VERSION};")));
    }

    #[test]
    fn the_contract_s_host_has_the_functions_that_are_looked_for() {
        let contract = include_str!("../../../sdk/wit/policy.wit");
        let (_, host) = contract.split_once("interface host {").expect("there is a host");
        let (host, _) = host.split_once("\n}").expect("it ends");
        let functions: Vec<&str> =
            host.lines().filter_map(|line| line.trim().split_once(": func")).map(|f| f.0).collect();
        assert_eq!(functions, HOST_FUNCTIONS);
    }

    #[test]
    fn later_patches_load() {
        assert_eq!(check(&["mosel:policy/policy@0.1.7"], &[HOST]), Ok(()));
        assert_eq!(check(&[POLICY], &[HOST, "mosel:policy/types@0.1.0"]), Ok(()));
    }

    #[test]
    fn other_versions_are_named() {
        let wrong = |version: &str| LoadError::WrongVersion { built_for: version.into() };
        assert_eq!(check(&["mosel:policy/policy@0.2.0"], &[]), Err(wrong("0.2.0")));
        assert_eq!(check(&["mosel:policy/policy@1.1.0"], &[]), Err(wrong("1.1.0")));
        assert_eq!(check(&["mosel:policy/policy@new"], &[]), Err(wrong("new")));
        assert_eq!(check(&[POLICY], &["mosel:policy/host@0.2.0"]), Err(wrong("0.2.0")));
    }

    #[test]
    fn foreign_imports_are_named() {
        let import = "wasi:filesystem/types@0.2.0";
        assert_eq!(check(&[POLICY], &[HOST, import]), Err(LoadError::ForbiddenImport(import.into())));
        let disguised = "mosel:policy/hostess@0.1.0";
        assert_eq!(check(&[POLICY], &[disguised]), Err(LoadError::ForbiddenImport(disguised.into())));
    }

    #[test]
    fn components_that_are_no_policies_are_told_so() {
        assert_eq!(check(&[], &[]), Err(LoadError::NoPolicy("nothing".into())));
        assert_eq!(check(&["run", "stop"], &[]), Err(LoadError::NoPolicy("run, stop".into())));
    }

    #[test]
    fn headers_tell_what_the_bytes_are() {
        assert_eq!(check_header(b"\0asm\x0d\0\x01\0..."), Ok(()));
        assert_eq!(check_header(b"\0asm\x01\0\0\0..."), Err(LoadError::CoreModule));
        assert_eq!(check_header(b"\x7fELF...."), Err(LoadError::NotWasm { bytes: 8 }));
        assert_eq!(check_header(b"\0as"), Err(LoadError::NotWasm { bytes: 3 }));
    }
}
