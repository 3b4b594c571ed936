//! `deputy keys`.

use deputy::config::ClientKey;
use deputy_native::env_file::EnvFile;
use serde_json::Value;

use crate::support::{deputy, run, stderr};

#[test]
fn key_is_written_for_its_owner_and_its_public_part_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(deputy(folder.path(), &["keys", "key.env"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let path = folder.path().join("key.env");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let file = EnvFile::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(file.get("PINGONE_CLIENT_AUTH"), Some("private_key_jwt"));
    let private = file.get("PINGONE_CLIENT_KEY").unwrap();
    let jwks: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(jwks["keys"][0], ClientKey::parse(private).unwrap().public_jwk());
    let private: Value = serde_json::from_str(private).unwrap();
    let printed = format!("{jwks}{}", stderr(&output));
    for member in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(!printed.contains(private[member].as_str().unwrap()), "{member}");
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
