//! `deputy keys`.

use std::path::Path;

use deputy::config::ClientKey;
use deputy_native::env_file::EnvFile;
use serde_json::{Value, json};

use crate::support::{deputy, run, stderr};

#[test]
fn key_is_written_for_its_owner_and_its_public_part_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (alg, members) in [("RS256", &["d", "p", "q", "dp", "dq", "qi"][..]), ("ES256", &["d"])] {
        key_is_written(folder.path(), alg, members);
    }
}

fn key_is_written(folder: &Path, alg: &str, members: &[&str]) {
    let name = format!("{alg}.env");
    let output = run(deputy(folder, &["keys", "--alg", alg, &name]));
    assert!(output.status.success(), "{}", stderr(&output));
    let path = folder.join(name);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let file = EnvFile::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(file.get("PINGONE_CLIENT_AUTH"), Some("private_key_jwt"));
    let private = file.get("PINGONE_CLIENT_KEY").unwrap();
    let jwks: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(jwks, json!({ "keys": [ClientKey::parse(private).unwrap().public_jwk()] }));
    assert_eq!(jwks["keys"][0]["alg"], json!(alg));
    let private: Value = serde_json::from_str(private).unwrap();
    let printed = format!("{jwks}{}", stderr(&output));
    for member in members {
        assert!(!printed.contains(private[*member].as_str().unwrap()), "{member}");
    }
}

#[test]
fn existing_file_is_not_replaced_by_a_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.env"), "kept").unwrap();
    let output = run(deputy(folder.path(), &["keys", "key.env"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Name a new file"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(folder.path().join("key.env")).unwrap(), "kept");
}

#[test]
fn jwks_of_a_new_key_has_the_present_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |arguments: &[&str]| -> Value {
        let output = run(deputy(folder.path(), &[&["keys"], arguments].concat()));
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = keys(&["first.env"]);
    let second = keys(&["--alg", "ES256", "--replacing", "first.env", "second.env"]);
    assert_eq!(second["keys"][1], first["keys"][0]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let file = EnvFile::parse(&read("second.env")).unwrap();
    let written = ClientKey::parse(file.get("PINGONE_CLIENT_KEY").unwrap()).unwrap();
    assert_eq!(written.public_jwk(), second["keys"][0]);
    // A file for PINGONE_CLIENT_KEY_FILE has the key alone.
    let third = keys(&["--raw", "--replacing", "second.env", "third.json"]);
    assert_eq!(third["keys"].as_array().unwrap().len(), 2, "{third}");
    assert_eq!(third["keys"][1], second["keys"][0]);
    assert_eq!(ClientKey::parse(&read("third.json")).unwrap().public_jwk(), third["keys"][0]);
    let fourth = keys(&["--replacing", "third.json", "fourth.env"]);
    assert_eq!(fourth["keys"][1], third["keys"][0]);
}

#[test]
fn file_without_a_key_cannot_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.env"), "PINGONE_CLIENT_KEY='canary'\n").unwrap();
    for old in ["old.env", "absent.env"] {
        let output = run(deputy(folder.path(), &["keys", "--replacing", old, "new.env"]));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(old) && !stderr(&output).contains("canary"), "{}", stderr(&output));
        assert!(!folder.path().join("new.env").exists());
    }
}
