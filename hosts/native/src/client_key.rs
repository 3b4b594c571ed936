//! `deputy keys`: a key with which Deputy authenticates at PingOne.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use deputy::config::ClientKey;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use rsa::{BigUint, RsaPrivateKey, traits::PrivateKeyParts as _, traits::PublicKeyParts as _};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{error::StartError, host::fill_random, store};

/// Options of `deputy keys`.
#[derive(Args, Debug)]
pub(crate) struct KeysOptions {
    /// File to create with the variables, readable by this user only; an existing file is not replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Writes a new private key into a file, and prints the key set that the application in PingOne needs.
pub(crate) fn make(options: &KeysOptions) -> Result<(), StartError> {
    let failed = |error: io::Error| StartError::KeyFile(options.file.clone(), error);
    // Before the key is made, which takes a moment.
    let mut file = store::private().create_new(true).open(&options.file).map_err(failed)?;
    let jwk = Zeroizing::new(private_jwk().ok_or_else(|| failed(io::Error::other("no key could be made")))?);
    let key = ClientKey::parse(&jwk).map_err(|problem| failed(io::Error::other(problem)))?;
    let lines =
        Zeroizing::new(format!("PINGONE_CLIENT_AUTH=private_key_jwt\nPINGONE_CLIENT_KEY='{}'\n", &*jwk));
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    println!("{}", json!({ "keys": [key.public_jwk()] }));
    eprintln!(
        "The line above is the JWKS for the application in PingOne. {} has the variables with the private key.",
        options.file.display()
    );
    Ok(())
}

/// A new RSA key as a private JSON Web Key on one line.
fn private_jwk() -> Option<String> {
    let mut seed = Zeroizing::new([0; 32]);
    fill_random(&mut *seed);
    let mut key = RsaPrivateKey::new(&mut ChaCha20Rng::from_seed(*seed), BITS).ok()?;
    key.precompute().ok()?;
    let mut kid = [0; 16];
    fill_random(&mut kid);
    let number = |number: &BigUint| URL_SAFE_NO_PAD.encode(Zeroizing::new(number.to_bytes_be()));
    let [p, q] = key.primes() else { return None };
    let jwk = json!({
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": URL_SAFE_NO_PAD.encode(kid),
        "n": number(key.n()),
        "e": number(key.e()),
        "d": number(key.d()),
        "p": number(p),
        "q": number(q),
        "dp": number(key.dp()?),
        "dq": number(key.dq()?),
        "qi": number(&key.qinv()?.to_biguint()?),
    });
    Some(jwk.to_string())
}

const BITS: usize = 2048;
