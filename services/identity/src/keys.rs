//! The keys that tokens are signed with: RSA of 2048 bits, a file each in `<data directory>/keys`.
//!
//! A file is PKCS#8 in PEM, named by the key's thumbprint (RFC 7638), which is also the `kid` of its tokens. Only its
//! owner may read it, and nobody else may put one beside it, for whoever has a key there signs whatever she likes. The file written last signs; all of them verify, so a key is replaced by adding one, and taken
//! away once the last token it signed has expired.
//!
//! Absent on purpose: encryption of the files. Whoever can read the data directory can read the bank.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use ports::PublicKey;
use sha2::{Digest, Sha256};

/// The most keys of one directory.
const KEYS_MAX: usize = 16;
/// The most bytes of one file; a key of 4096 bits has some 3,300.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// What a private key may be to anybody but its owner: nothing.
#[cfg(unix)]
const OTHERS: u32 = 0o077;
/// What the directory may not be to them.
#[cfg(unix)]
const WRITABLE_FOR_OTHERS: u32 = 0o022;

/// The keys could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or directory could not be used.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others than its owner may read a key.
    #[error("{path} may be read by others than its owner: make it private (chmod 600), or remove it", path = .0.display())]
    Exposed(PathBuf),
    /// Others than its owner may put keys into the directory.
    #[error("others than its owner can write into {path}: make it private (chmod 700)", path = .0.display())]
    Open(PathBuf),
    /// A file is not a key.
    #[error("{path} is not an RSA key of at least 2048 bits in PKCS#8 PEM", path = .0.display())]
    NotAKey(PathBuf),
    /// There is no key.
    #[error("there is no signing key in {path}: start the bank once, and it makes one", path = .0.display())]
    None(PathBuf),
    /// There are more keys than anybody needs.
    #[error("there are more than {KEYS_MAX} signing keys in {path}", path = .0.display())]
    TooMany(PathBuf),
    /// A key could not be made.
    #[error("a signing key could not be made")]
    NotMade,
}

/// One key to sign with, and all to verify by.
pub struct Keys {
    signing_kid: String,
    signing: EncodingKey,
    verifying: BTreeMap<String, DecodingKey>,
    public: Vec<PublicKey>,
}

/// A key, its file's content, and how old it is.
struct Entry {
    written_at: SystemTime,
    signing: EncodingKey,
    public: PublicKey,
}

impl Keys {
    /// The keys in `data_dir`; where there are none, one is made and kept there first.
    ///
    /// # Errors
    /// When a file cannot be used, is no key, or may be read by others.
    pub fn load_or_make(data_dir: &Path) -> Result<Self, KeysError> {
        match Self::load(data_dir) {
            Err(KeysError::None(directory)) => {
                make(&directory)?;
                Self::load(data_dir)
            }
            loaded => loaded,
        }
    }

    /// The keys in `data_dir`.
    ///
    /// # Errors
    /// As [`Keys::load_or_make`], and [`KeysError::None`] where there is no key.
    pub fn load(data_dir: &Path) -> Result<Self, KeysError> {
        let directory = data_dir.join("keys");
        let mut entries = Vec::new();
        for path in key_files(&directory)? {
            let (pem, written_at) = read_private(&path)?;
            let (signing, public) = parse(&pem).ok_or(KeysError::NotAKey(path))?;
            entries.push(Entry { written_at, signing, public });
        }
        Self::of(entries).ok_or(KeysError::None(directory))
    }

    /// Keys that are kept nowhere, for tests: whatever they sign is void when the process ends.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn ephemeral() -> Result<Self, KeysError> {
        let (signing, public) = parse(&fresh_pem()?).ok_or(KeysError::NotMade)?;
        Self::of(vec![Entry { written_at: SystemTime::UNIX_EPOCH, signing, public }])
            .ok_or(KeysError::NotMade)
    }

    fn of(mut entries: Vec<Entry>) -> Option<Self> {
        entries.sort_by(|a, b| (b.written_at, &b.public.key_id).cmp(&(a.written_at, &a.public.key_id)));
        let newest = entries.first()?;
        let (signing_kid, signing) = (newest.public.key_id.clone(), newest.signing.clone());
        let mut verifying = BTreeMap::new();
        for Entry { public, .. } in &entries {
            let key = DecodingKey::from_rsa_components(&public.modulus, &public.exponent).ok()?;
            verifying.insert(public.key_id.clone(), key);
        }
        let public = entries.into_iter().map(|entry| entry.public).collect();
        Some(Self { signing_kid, signing, verifying, public })
    }

    /// The key to sign with, and its name.
    pub fn signing(&self) -> (&str, &EncodingKey) {
        (&self.signing_kid, &self.signing)
    }

    /// The key of this name, to verify by.
    pub fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.verifying.get(kid)
    }

    /// All public keys.
    pub fn public(&self) -> &[PublicKey] {
        &self.public
    }
}

/// The files of keys; anything else in the directory is left alone.
fn key_files(directory: &Path) -> Result<Vec<PathBuf>, KeysError> {
    let failed = |error| KeysError::File { path: directory.to_owned(), error };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    if is_open(&fs::metadata(directory).map_err(failed)?) {
        return Err(KeysError::Open(directory.to_owned()));
    }
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            if files.len() == KEYS_MAX {
                return Err(KeysError::TooMany(directory.to_owned()));
            }
            files.push(path);
        }
    }
    Ok(files)
}

fn read_private(path: &Path) -> Result<(String, SystemTime), KeysError> {
    let failed = |error| KeysError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if is_exposed(&metadata) {
        return Err(KeysError::Exposed(path.to_owned()));
    }
    let mut pem = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut pem).map_err(failed)?;
    Ok((pem, metadata.modified().map_err(failed)?))
}

/// Makes a key and writes its file whole or not at all: under another name first, which is not read as a key.
fn make(directory: &Path) -> Result<(), KeysError> {
    let pem = fresh_pem()?;
    let (_, public) = parse(&pem).ok_or(KeysError::NotMade)?;
    let path = directory.join(format!("{}.pem", public.key_id));
    let unfinished = directory.join(format!("{}.unfinished", public.key_id));
    let write = || -> io::Result<()> {
        private_directory().recursive(true).create(directory)?;
        let mut file = private_file().write(true).create_new(true).open(&unfinished)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        sync_directory(directory)
    };
    write().map_err(|error| KeysError::File { path, error })
}

fn fresh_pem() -> Result<String, KeysError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeysError::NotMade)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeysError::NotMade)?;
    let text = STANDARD.encode(der.as_ref());
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem)
}

fn parse(pem: &str) -> Option<(EncodingKey, PublicKey)> {
    let signing = EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    // Refuses keys of fewer than 2048 bits.
    let pair = RsaKeyPair::from_der(signing.as_bytes()).ok()?;
    let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let modulus = URL_SAFE_NO_PAD.encode(components.n);
    let exponent = URL_SAFE_NO_PAD.encode(components.e);
    // The required members in the order of their names, without white space (RFC 7638, section 3).
    let thumbprint = Sha256::digest(format!(r#"{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}"#));
    let key_id = URL_SAFE_NO_PAD.encode(thumbprint);
    Some((signing, PublicKey { key_id, modulus, exponent }))
}

#[cfg(unix)]
fn is_exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & OTHERS != 0
}

#[cfg(unix)]
fn is_open(directory: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    directory.permissions().mode() & WRITABLE_FOR_OTHERS != 0
}

#[cfg(unix)]
fn private_file() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(unix)]
fn private_directory() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// The new name of a file is durable once its directory is.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

// Elsewhere the rights of the data directory have this part.
#[cfg(not(unix))]
fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn is_open(_: &fs::Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn private_file() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(not(unix))]
fn private_directory() -> DirBuilder {
    DirBuilder::new()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of the test's own, removed when it ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("identity-keys-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let data_dir = Scratch::new("once");
        assert!(matches!(Keys::load(&data_dir.0), Err(KeysError::None(_))));
        let made = Keys::load_or_make(&data_dir.0).unwrap();
        let found = Keys::load_or_make(&data_dir.0).unwrap();
        assert_eq!(made.public(), found.public());
        assert_eq!(made.signing().0, found.signing().0);
        assert_eq!(made.public().len(), 1);
        assert_eq!(URL_SAFE_NO_PAD.decode(&made.public()[0].modulus).unwrap().len() * 8, 2048);
        assert_eq!(fs::read_dir(data_dir.0.join("keys")).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_a_key() {
        use std::os::unix::fs::PermissionsExt;
        let data_dir = Scratch::new("private");
        let kid = Keys::load_or_make(&data_dir.0).unwrap().signing().0.to_owned();
        let (directory, file) = (data_dir.0.join("keys"), data_dir.0.join("keys").join(format!("{kid}.pem")));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::load_or_make(&data_dir.0), Err(KeysError::Exposed(path)) if path == file));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_add_a_key() {
        use std::os::unix::fs::PermissionsExt;
        let data_dir = Scratch::new("open");
        Keys::load_or_make(&data_dir.0).unwrap();
        let directory = data_dir.0.join("keys");
        for (mode, is_open) in [(0o777, true), (0o720, true), (0o702, true), (0o755, false), (0o700, false)] {
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = Keys::load(&data_dir.0);
            let is_refused = matches!(&loaded, Err(KeysError::Open(path)) if *path == directory);
            assert_eq!((is_refused, loaded.is_ok()), (is_open, !is_open), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        let data_dir = Scratch::new("broken");
        let directory = data_dir.0.join("keys");
        private_directory().create(&directory).unwrap();
        let path = directory.join("broken.pem");
        private_file().write(true).create_new(true).open(&path).unwrap().write_all(b"not a key").unwrap();
        assert!(matches!(Keys::load_or_make(&data_dir.0), Err(KeysError::NotAKey(named)) if named == path));
    }

    #[test]
    fn the_file_written_last_signs_and_all_verify() {
        let data_dir = Scratch::new("rotated");
        let first = Keys::load_or_make(&data_dir.0).unwrap();
        let old = data_dir.0.join("keys").join(format!("{}.pem", first.signing().0));
        File::open(&old).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        make(&data_dir.0.join("keys")).unwrap();
        let both = Keys::load(&data_dir.0).unwrap();
        assert_ne!(both.signing().0, first.signing().0);
        assert!(both.verifying(first.signing().0).is_some() && both.verifying(both.signing().0).is_some());
        assert_eq!(both.public().len(), 2);
    }

    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let keys = Keys::ephemeral().unwrap();
        let (kid, signing) = keys.signing();
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(signing, jsonwebtoken::Algorithm::RS256).unwrap();
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), kid);
    }
}
