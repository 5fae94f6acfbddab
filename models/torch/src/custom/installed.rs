//! A custom model is added to this machine, found, and removed.

use std::fs;
use std::path::{Path, PathBuf};

use mosel_models::assets::Assets;
use mosel_models::installed::{InstalledModel, InstalledModels};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Part};
use tempfile::TempDir;

use super::fixture;

fn prepared() -> (TempDir, InstalledModels, PathBuf) {
    crate::install();
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    fixture::write(&source);
    let installed = InstalledModels::at(place.path().join("models"));
    (place, installed, source)
}

fn names(installed: &InstalledModels) -> Vec<String> {
    installed.list().unwrap().into_iter().map(|(name, custom)| custom.map(|_| name).unwrap()).collect()
}

/// No model and nothing half there.
#[track_caller]
fn refused(installed: &InstalledModels, source: &Path, expected: &str) {
    let before = fs::read_dir(installed.folder()).map_or(0, Iterator::count);
    let refusal = format!("{:#}", installed.add(source).unwrap_err());
    assert!(refusal.contains(expected), "{refusal}");
    assert_eq!(fs::read_dir(installed.folder()).map_or(0, Iterator::count), before);
}

#[test]
fn what_is_added_is_a_copy_and_is_found_until_it_is_removed() {
    let (_place, installed, source) = prepared();
    assert!(names(&installed).is_empty());
    let InstalledModel::Custom(custom) = installed.add(&source).unwrap() else { panic!("it has a model.toml") };
    fs::remove_dir_all(&source).unwrap();
    assert_eq!((names(&installed), custom.folder()), (vec!["things".to_owned()], &*installed.folder().join("things")));
    let known = installed.find("things").unwrap();
    assert_eq!(known.spec().unwrap(), *custom.spec());
    assert_eq!(known.examples(&Assets::standard(), Part::Served).unwrap().len(), 2);
    assert!(known.load(DeviceChoice::Cpu).is_ok());
    let missing = format!("{:#}", known.profile_on("cpu").unwrap_err());
    assert!(missing.starts_with("things on cpu has no profile: `mosel profile things` measures it"), "{missing}");
    assert!(known.profile_path_on("cuda").ends_with("things/profile-cuda.json"));
    installed.remove("things").unwrap();
    assert!(names(&installed).is_empty());
    let gone = installed.find("things").unwrap_err().to_string();
    assert!(gone.starts_with("expected one of the models emoji, ") && gone.ends_with("got \"things\""), "{gone}");
    assert_eq!(installed.remove("things").unwrap_err().to_string(), "expected an added model, got \"things\"");
}

#[test]
fn a_name_is_given_once_and_never_one_of_the_zoo() {
    let (_place, installed, source) = prepared();
    installed.add(&source).unwrap();
    refused(&installed, &source, "a model \"things\" is there already");
    let of_zoo = fixture::DOCUMENT.replace("\"things\"", "\"emoji\"");
    fs::write(source.join("model.toml"), of_zoo).unwrap();
    refused(&installed, &source, "expected a name that no model of the zoo has, got \"emoji\"");
    assert!(matches!(installed.find("emoji").unwrap(), InstalledModel::Zoo(Task::Emoji)));
    assert!(installed.remove("emoji").unwrap_err().to_string().contains("only added models"));
    assert!(installed.find("../source").unwrap_err().to_string().ends_with("got \"../source\""));
}

#[test]
fn what_cannot_be_served_is_not_taken_in() {
    let (place, installed, source) = prepared();
    refused(&installed, place.path(), "model.toml");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/hostname", source.join("link")).unwrap();
        refused(&installed, &source, "link is something else");
        fs::remove_file(source.join("link")).unwrap();
    }
    fs::write(source.join("both.pt"), "broken").unwrap();
    refused(&installed, &source, "both.pt: expected a TorchScript file");
}
