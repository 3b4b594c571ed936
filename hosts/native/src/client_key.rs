//! `deputy keys`: a key with which Deputy authenticates at PingOne.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, ValueEnum, builder::BoolishValueParser};
use deputy::config::ClientKey;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rsa::{BigUint, RsaPrivateKey, traits::PrivateKeyParts as _, traits::PublicKeyParts as _};
use serde_json::json;
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

    /// Write the key alone, for a file with a secret, or for a secret of a Worker or of Kubernetes, instead of variables
    #[arg(long, env = "KEYS_RAW", value_parser = BoolishValueParser::new())]
    raw: bool,

    /// File with the present key, or with the variables: its public key is printed beside the new one
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
    let key = ClientKey::parse(&new).map_err(|problem| failed(io::Error::other(problem)))?;
    let lines = Zeroizing::new(if options.raw {
        format!("{}\n", &*new)
    } else {
        format!("PINGONE_CLIENT_AUTH=private_key_jwt\nPINGONE_CLIENT_KEY='{}'\n", &*new)
    });
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let public: Vec<_> = [key].iter().chain(&present).map(ClientKey::public_jwk).collect();
    println!("{}", json!({ "keys": public }));
    eprintln!(
        "The line above is the JWKS for the application in PingOne. {} has the private key.",
        options.file.display()
    );
    Ok(())
}

/// The key of a file that has it alone, or in `PINGONE_CLIENT_KEY`.
fn present_key(path: &Path) -> Result<ClientKey, StartError> {
    let failed = |problem: String| StartError::PresentKey(path.to_owned(), problem);
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| failed(error.to_string()))?);
    let key = if text.trim_start().starts_with('{') {
        ClientKey::parse(&text).map_err(str::to_owned)
    } else {
        let file = EnvFile::parse(&text).map_err(|error| failed(error.to_string()))?;
        let value = file.get("PINGONE_CLIENT_KEY").ok_or("it has no PINGONE_CLIENT_KEY");
        value.and_then(ClientKey::parse).map_err(|problem| format!("PINGONE_CLIENT_KEY: {problem}"))
    };
    let key = key.map_err(failed)?;
    if key.kid.is_none() {
        return Err(failed("its key has no kid, by which PingOne could tell it from another".to_owned()));
    }
    Ok(key)
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
