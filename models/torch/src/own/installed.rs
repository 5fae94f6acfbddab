//! A custom model is added to this machine, found, and removed.

use std::fs;
use std::path::{Path, PathBuf};

use mosel_models::assets::Assets;
use mosel_models::catalogue::{Catalogue, Known};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Part};
use tempfile::TempDir;

use super::fixture;

fn prepared() -> (TempDir, Catalogue, PathBuf) {
    crate::install();
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("source");
    fixture::write(&source);
    let catalogue = Catalogue::at(place.path().join("models"));
    (place, catalogue, source)
}

fn names(catalogue: &Catalogue) -> Vec<String> {
    catalogue.list().unwrap().into_iter().map(|(name, own)| own.map(|_| name).unwrap()).collect()
}

/// No model and nothing half there.
#[track_caller]
fn refused(catalogue: &Catalogue, source: &Path, expected: &str) {
    let before = fs::read_dir(catalogue.folder()).map_or(0, Iterator::count);
    let refusal = format!("{:#}", catalogue.add(source).unwrap_err());
    assert!(refusal.contains(expected), "{refusal}");
    assert_eq!(fs::read_dir(catalogue.folder()).map_or(0, Iterator::count), before);
}

#[test]
fn what_is_added_is_a_copy_and_is_found_until_it_is_removed() {
    let (_place, catalogue, source) = prepared();
    assert!(names(&catalogue).is_empty());
    let Known::Own(own) = catalogue.add(&source).unwrap() else { panic!("it has a model.toml") };
    fs::remove_dir_all(&source).unwrap();
    assert_eq!((names(&catalogue), own.folder()), (vec!["things".to_owned()], &*catalogue.folder().join("things")));
    let known = catalogue.find("things").unwrap();
    assert_eq!(known.spec().unwrap(), *own.spec());
    assert_eq!(known.examples(&Assets::standard(), Part::Served).unwrap().len(), 2);
    assert!(known.load(DeviceChoice::Cpu).is_ok());
    let missing = format!("{:#}", known.profile_on("cpu").unwrap_err());
    assert!(missing.starts_with("things on cpu has no profile: `mosel profile things` measures it"), "{missing}");
    assert!(known.profile_path_on("cuda").ends_with("things/profile-cuda.json"));
    catalogue.remove("things").unwrap();
    assert!(names(&catalogue).is_empty());
    let gone = catalogue.find("things").unwrap_err().to_string();
    assert!(gone.starts_with("expected one of the models emoji, ") && gone.ends_with("\"things\" came"), "{gone}");
    assert_eq!(catalogue.remove("things").unwrap_err().to_string(), "expected an added model, \"things\" came");
}

#[test]
fn a_name_is_given_once_and_never_one_of_the_zoo() {
    let (_place, catalogue, source) = prepared();
    catalogue.add(&source).unwrap();
    refused(&catalogue, &source, "a model \"things\" is there already");
    let of_zoo = fixture::DOCUMENT.replace("\"things\"", "\"emoji\"");
    fs::write(source.join("model.toml"), of_zoo).unwrap();
    refused(&catalogue, &source, "expected a name that no model of the zoo has, \"emoji\" came");
    assert!(matches!(catalogue.find("emoji").unwrap(), Known::Zoo(Task::Emoji)));
    assert!(catalogue.remove("emoji").unwrap_err().to_string().contains("only added models"));
    assert!(catalogue.find("../source").unwrap_err().to_string().ends_with("\"../source\" came"));
}

#[test]
fn what_cannot_be_served_is_not_taken_in() {
    let (place, catalogue, source) = prepared();
    refused(&catalogue, place.path(), "model.toml");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/hostname", source.join("link")).unwrap();
        refused(&catalogue, &source, "link is something else");
        fs::remove_file(source.join("link")).unwrap();
    }
    fs::write(source.join("both.pt"), "broken").unwrap();
    refused(&catalogue, &source, "both.pt: expected a TorchScript file");
}
