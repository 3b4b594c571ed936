//! `deputy keys`: a key with which Deputy authenticates at PingOne.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, ValueEnum};
use deputy::config::ClientKeyRing;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rsa::{BigUint, RsaPrivateKey, traits::PrivateKeyParts as _, traits::PublicKeyParts as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{env_file::EnvFile, error::StartError, host::fill_random, store};

/// Options of `deputy keys`.
#[derive(Args, Debug)]
pub(crate) struct KeysOptions {
    /// File to create with the variables, readable by this user only; an existing file is not replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Algorithm of the signatures
    #[arg(long, env = "KEYS_ALG", value_enum, default_value_t = Algorithm::Rs256)]
    alg: Algorithm,

    /// File with the variables that Deputy has now: the new key signs, and the present one stays beside it
    #[arg(long, env = "KEYS_REPLACING", value_name = "FILE")]
    replacing: Option<PathBuf>,
}

/// An algorithm of signatures (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Algorithm {
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "ES256")]
    Es256,
}

/// Writes a new private key into a file, and prints the key set that the application in PingOne needs.
pub(crate) fn make(options: &KeysOptions) -> Result<(), StartError> {
    let failed = |error: io::Error| StartError::KeyFile(options.file.clone(), error);
    let present = options.replacing.as_deref().map(present_key).transpose()?;
    // Before the key is made, which takes a moment.
    let mut file = store::private().create_new(true).open(&options.file).map_err(failed)?;
    let new = match options.alg {
        Algorithm::Rs256 => rsa_jwk().ok_or_else(|| failed(io::Error::other("no key could be made")))?,
        Algorithm::Es256 => p256_jwk(),
    };
    let value = match &present {
        Some(present) => Zeroizing::new(format!("{{\"keys\":[{},{}]}}", &*new, &**present)),
        None => new,
    };
    let keys = ClientKeyRing::parse(&value).map_err(|problem| failed(io::Error::other(problem)))?;
    let lines =
        Zeroizing::new(format!("PINGONE_CLIENT_AUTH=private_key_jwt\nPINGONE_CLIENT_KEY='{}'\n", &*value));
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    println!("{}", keys.public_jwks());
    eprintln!(
        "The line above is the JWKS for the application in PingOne. {} has the variables with the private key.",
        options.file.display()
    );
    Ok(())
}

/// The key that signs, in a file with variables.
fn present_key(path: &Path) -> Result<Zeroizing<String>, StartError> {
    let failed = |problem: String| StartError::PresentKey(path.to_owned(), problem);
    let file = EnvFile::read(path).map_err(|error| failed(error.to_string()))?;
    let value =
        file.get("PINGONE_CLIENT_KEY").ok_or_else(|| failed("it has no PINGONE_CLIENT_KEY".to_owned()))?;
    let keys =
        ClientKeyRing::parse(value).map_err(|problem| failed(format!("PINGONE_CLIENT_KEY {problem}")))?;
    if keys.first().kid.is_none() {
        return Err(failed("its key has no kid, by which PingOne could tell it from another".to_owned()));
    }
    // It was parsed before.
    let value: Value = serde_json::from_str(value).unwrap_or_default();
    let first = value.get("keys").map_or(&value, |keys| &keys[0]);
    Ok(Zeroizing::new(first.to_string()))
}

/// A new RSA key as a private JSON Web Key on one line (RFC 7518 §6.3).
fn rsa_jwk() -> Option<Zeroizing<String>> {
    let mut seed = Zeroizing::new([0; 32]);
    fill_random(&mut *seed);
    let mut key = RsaPrivateKey::new(&mut ChaCha20Rng::from_seed(*seed), BITS).ok()?;
    key.precompute().ok()?;
    let number = |number: &BigUint| URL_SAFE_NO_PAD.encode(Zeroizing::new(number.to_bytes_be()));
    let [p, q] = key.primes() else { return None };
    let jwk = json!({
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": new_kid(),
        "n": number(key.n()),
        "e": number(key.e()),
        "d": number(key.d()),
        "p": number(p),
        "q": number(q),
        "dp": number(key.dp()?),
        "dq": number(key.dq()?),
        "qi": number(&key.qinv()?.to_biguint()?),
    });
    Some(Zeroizing::new(jwk.to_string()))
}

/// A new key on P-256 as a private JSON Web Key on one line (RFC 7518 §6.2).
fn p256_jwk() -> Zeroizing<String> {
    let key = loop {
        let mut scalar = Zeroizing::new([0; 32]);
        fill_random(&mut *scalar);
        // One number in four thousand million is not below the order of the curve.
        if let Ok(key) = p256::SecretKey::from_slice(&*scalar) {
            break key;
        }
    };
    let point = key.public_key().to_encoded_point(false);
    let coordinate = |coordinate: Option<&p256::FieldBytes>| {
        coordinate.map(|number| URL_SAFE_NO_PAD.encode(number)).unwrap_or_default()
    };
    let jwk = json!({
        "kty": "EC",
        "use": "sig",
        "alg": "ES256",
        "kid": new_kid(),
        "crv": "P-256",
        "x": coordinate(point.x()),
        "y": coordinate(point.y()),
        "d": URL_SAFE_NO_PAD.encode(Zeroizing::new(key.to_bytes())),
    });
    Zeroizing::new(jwk.to_string())
}

fn new_kid() -> String {
    let mut kid = [0; 16];
    fill_random(&mut kid);
    URL_SAFE_NO_PAD.encode(kid)
}

const BITS: usize = 2048;
