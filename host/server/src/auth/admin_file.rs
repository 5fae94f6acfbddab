//! The token that a server makes for its own operator: in a file that only the server's user can read, at a place that
//! follows from the server's address, so that programs of that user find it by themselves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::new_token::random_token;

/// A token's file; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct AdminFile {
    path: PathBuf,
    token: String,
    /// Locked as long as the server lives: what is not locked was left behind.
    _locked: File,
}

/// Bytes of a token's file at most.
const MAX_BYTES: u64 = 4096;
/// Files that are looked at when those that were left behind are removed.
const MAX_FILES: usize = 1000;

impl AdminFile {
    /// A token for the server at this address, in the first folder that takes it.
    pub(super) fn create(address: SocketAddr) -> anyhow::Result<AdminFile> {
        let folders = folders();
        ensure!(!folders.is_empty(), "expected XDG_RUNTIME_DIR, XDG_CACHE_HOME or HOME to name a folder");
        let mut refused = Vec::new();
        for folder in folders {
            match create_in(&folder, address) {
                Ok(file) => return Ok(file),
                Err(error) => refused.push(format!("{}: {error:#}", folder.display())),
            }
        }
        anyhow::bail!("{}", refused.join("; "))
    }

    /// The token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminFile {
    fn drop(&mut self) {
        // another server may listen there by now
        if read(&self.path).is_ok_and(|token| token == self.token) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The token that a server of this user made for itself, if there is one at this URL on this machine.
pub fn local_admin_token(url: &str) -> Option<String> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(80), |port| port.parse().ok())?;
    let addresses = addresses(host)?;
    let folders = folders();
    let mut places = addresses.iter().flat_map(|ip| folders.iter().map(|folder| folder.join(name(*ip, port))));
    places.find_map(|path| read(&path).ok())
}

/// Where a server may listen that answers to this name here; a token is sent to no other machine.
fn addresses(host: &str) -> Option<Vec<IpAddr>> {
    const ANY: [IpAddr; 2] = [IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)];
    let loopback: [IpAddr; 2] = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    if host.eq_ignore_ascii_case("localhost") {
        return Some([loopback, ANY].concat());
    }
    let ip: IpAddr = host.parse().ok()?;
    Some(if ip.is_loopback() { vec![ip, ANY[0], ANY[1]] } else { vec![ip] })
}

fn name(ip: IpAddr, port: u16) -> String {
    // a colon is no good in the names of some file systems
    format!("admin-{}-{port}.token", ip.to_string().replace(':', "_"))
}

/// Where tokens may be, the best place first.
fn folders() -> Vec<PathBuf> {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let runtime = folder("XDG_RUNTIME_DIR").map(|folder| folder.join("mosel"));
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    // a service and a login have different environments
    let session = Some(PathBuf::from(format!("/run/user/{}/mosel", user())));
    let mut folders: Vec<PathBuf> =
        [runtime, session, cache.map(|folder| folder.join("mosel/run"))].into_iter().flatten().collect();
    folders.dedup();
    folders
}

fn create_in(folder: &Path, address: SocketAddr) -> anyhow::Result<AdminFile> {
    if !folder.starts_with("/run/user") || folder.parent().is_some_and(Path::exists) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    check_folder(folder)?;
    remove_left_behind(folder);
    let token = random_token()?;
    let path = folder.join(name(address.ip(), address.port()));
    let mut draft = path.clone();
    draft.set_extension(format!("draft-{}", &token[token.len() - 8..]));
    let written = write(&draft, &token).and_then(|file| fs::rename(&draft, &path).map(|()| file));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    Ok(AdminFile { path, token, _locked: written? })
}

/// Nobody else can put anything here, or in place of it.
fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    ensure!(metadata.is_dir(), "expected a folder, it is something else");
    ensure!(metadata.uid() == user(), "expected it to belong to this user");
    ensure!(
        metadata.mode() & 0o022 == 0,
        "expected nobody else to be able to write to it (mode {:03o})",
        metadata.mode() & 0o777
    );
    Ok(())
}

fn write(path: &Path, token: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.lock()?;
    file.write_all(format!("{token}\n").as_bytes())?;
    Ok(file)
}

/// The token in this file, if the file is one that only this user can have written and can read.
fn read(path: &Path) -> anyhow::Result<String> {
    check_folder(path.parent().context("it lies in a folder")?)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    let own = metadata.is_file() && metadata.uid() == user() && metadata.mode() & 0o077 == 0;
    ensure!(own, "expected a file of this user's, which nobody else can read");
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    ensure!(text.ends_with('\n'), "expected a whole token");
    Ok(text.trim().to_owned())
}

/// Servers that were killed leave their files behind.
fn remove_left_behind(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().take(MAX_FILES).flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with("admin-") && name.ends_with(".token"));
        let options =
            || OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(entry.path());
        if ours && options().is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn user() -> u32 {
    // SAFETY: the call has no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("mosel-admin-file-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_its_user_reads_it_and_it_goes_with_the_server() {
        let folder = folder("own");
        let file = create_in(&folder, address("127.0.0.1:7070")).unwrap();
        assert_eq!(file.path(), folder.join("admin-127.0.0.1-7070.token"));
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(read(file.path()).unwrap(), file.token());
        let other = create_in(&folder, address("[::1]:7070")).unwrap();
        assert_ne!(file.token(), other.token());
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists() && other.path().exists());
        drop(other);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_a_killed_server_left_is_removed_and_what_a_living_one_has_is_not() {
        let folder = folder("left");
        let living = create_in(&folder, address("127.0.0.1:1")).unwrap();
        fs::write(folder.join("admin-127.0.0.1-2.token"), "dead\n").unwrap();
        fs::write(folder.join("other"), "not ours\n").unwrap();
        let _new = create_in(&folder, address("127.0.0.1:3")).unwrap();
        assert!(living.path().exists() && folder.join("other").exists());
        assert!(!folder.join("admin-127.0.0.1-2.token").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_link_is_not_followed_and_a_strangers_place_is_not_taken() {
        let folder = folder("link");
        fs::create_dir_all(folder.join("real")).unwrap();
        fs::set_permissions(folder.join("real"), fs::Permissions::from_mode(0o700)).unwrap();
        let target = folder.join("target");
        fs::write(&target, "precious\n").unwrap();
        symlink(&target, folder.join("real/admin-127.0.0.1-7.token")).unwrap();
        assert!(read(&folder.join("real/admin-127.0.0.1-7.token")).is_err());
        let file = create_in(&folder.join("real"), address("127.0.0.1:7")).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious\n");
        assert!(fs::symlink_metadata(file.path()).unwrap().is_file());
        symlink(folder.join("real"), folder.join("linked")).unwrap();
        assert!(create_in(&folder.join("linked"), address("127.0.0.1:8")).is_err());
        fs::set_permissions(folder.join("real"), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = create_in(&folder.join("real"), address("127.0.0.1:8")).unwrap_err();
        assert!(format!("{refused:#}").contains("nobody else"), "{refused:#}");
        drop(file);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_token_that_others_can_read_is_not_used() {
        let folder = folder("wide");
        let file = create_in(&folder, address("127.0.0.1:9")).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(file.path()).is_err());
        drop(file);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_token_is_looked_for_on_this_machine_only() {
        assert!(addresses("server.example").is_none());
        assert!(local_admin_token("https://127.0.0.1:1").is_none());
        assert_eq!(addresses("localhost").unwrap().len(), 4);
        assert_eq!(addresses("10.0.0.1").unwrap(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }
}
