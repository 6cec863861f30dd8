//! Key files: Ed25519 private keys in PKCS#8 PEM, readable by their owner alone (K6).
//!
//! What is signed with them, and which secrets are derived from them, is told in `access`.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use access::Service;
use access::service_key::PrivateKey;
use access::token::Trust;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::system_ids;

mod public;

pub use public::{init, read_trust};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Larger files are no keys of ours.
const MOST_FILE_BYTES: u64 = 16 * 1024;
/// Whatever group and others may do.
const FOR_OTHERS: u32 = 0o077;

/// Why a key cannot be used; the text says what would help and never shows the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Group or others may read or change the file.
    #[error("the key file {} is open to other users; run `chmod 600 {}`", .0.display(), .0.display())]
    OpenToOthers(PathBuf),
    /// The file does not hold one Ed25519 key.
    #[error(
        "the key file {} does not hold one unencrypted Ed25519 private key in PKCS#8 PEM; \
         `openssl genpkey -algorithm ed25519` makes one",
        .0.display()
    )]
    Invalid(PathBuf),
    /// The file does not hold one Ed25519 public key.
    #[error(
        "the file {} does not hold one Ed25519 public key in PEM; `openssl pkey -pubout` makes one of a private key",
        .0.display()
    )]
    PublicInvalid(PathBuf),
    /// A private key is gone and its public half is not.
    #[error(
        "{} stands there without {}; put the private key back, or remove both to begin with a new one",
        .public.display(), .private.display()
    )]
    Lost {
        /// What is gone.
        private: PathBuf,
        /// What stands.
        public: PathBuf,
    },
    /// A public key beside a private one is not its half.
    #[error("{} is not the public half of {}; remove the wrong one", .public.display(), .private.display())]
    Foreign {
        /// The private key.
        private: PathBuf,
        /// The public key.
        public: PathBuf,
    },
    /// The file system refuses.
    #[error("the key file {} cannot be used: {error}", .path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The keys of all services and of the operator, as an embedded process holds them.
#[derive(Debug)]
pub struct KeyFolder {
    services: HashMap<Service, PrivateKey>,
    operator: PrivateKey,
}

impl KeyFolder {
    /// Reads the folder's keys, and makes those that are missing; an existing file is never changed.
    pub fn open_or_create(dir: &Path) -> Result<Self, KeyError> {
        let unusable = |error| KeyError::Unusable { path: dir.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
        let mut services = HashMap::new();
        for service in Service::ALL {
            services.insert(service, read_or_create(&dir.join(format!("{service}.key")))?);
        }
        let operator = read_or_create(&dir.join("operator.key"))?;
        Ok(Self { services, operator })
    }

    /// The files of a key folder.
    pub fn files(dir: &Path) -> Vec<PathBuf> {
        let services = Service::ALL.map(|service| dir.join(format!("{service}.key")));
        services.into_iter().chain([dir.join("operator.key")]).collect()
    }

    /// The private key of a service.
    pub fn service(&self, service: Service) -> &PrivateKey {
        self.services.get(&service).expect("`open_or_create` reads or makes one key for each service")
    }

    /// The private key of the operator.
    pub fn operator(&self) -> &PrivateKey {
        &self.operator
    }

    /// The public halves: whom the services of this process believe.
    pub fn trust(&self) -> Trust {
        let services = self.services.iter().map(|(service, key)| (*service, key.public().to_vec()));
        Trust { services: services.collect(), operator: Some(self.operator.public().to_vec()) }
    }
}

/// Reads a key file; one that others may read is refused, since whoever has read it can speak as its owner.
pub fn read_key(path: &Path) -> Result<PrivateKey, KeyError> {
    let unusable = |error| KeyError::Unusable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unusable)?;
    // The opened file is asked, not its name: nobody can exchange it in between.
    let metadata = file.metadata().map_err(unusable)?;
    if metadata.permissions().mode() & FOR_OTHERS != 0 {
        return Err(KeyError::OpenToOthers(path.to_owned()));
    }
    let mut text = String::new();
    let read = file.take(MOST_FILE_BYTES).read_to_string(&mut text);
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(KeyError::Invalid(path.to_owned()));
        }
        Err(error) => return Err(unusable(error)),
    }
    let key = from_pem(&text).and_then(|pkcs8| PrivateKey::from_pkcs8(&pkcs8).ok());
    key.ok_or_else(|| KeyError::Invalid(path.to_owned()))
}

fn read_or_create(path: &Path) -> Result<PrivateKey, KeyError> {
    match read_key(path) {
        Err(KeyError::Unusable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let key = PrivateKey::generate().map_err(|_| KeyError::Unusable {
        path: path.to_owned(),
        error: io::Error::other("the system gave no randomness"),
    })?;
    put(path, &to_pem(key.pkcs8()), 0o600)
        .map_err(|error| KeyError::Unusable { path: path.to_owned(), error })?;
    // Read back: where two processes made the key at once, both go on with the one that stands.
    read_key(path)
}

/// Puts a file where nothing stands: whole, durable, and without ever replacing one.
///
/// A hard link gives the finished file its name, because a rename would replace the key of a process that was faster.
/// Where the file stands already nothing is written, so that a complete folder can be read-only.
fn put(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Named at random: no two attempts meet, on whatever hosts, and what a killed one has left stands in nobody's way.
    let draft = dir.join(format!(".{}.draft", system_ids().random().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => removed?,
    }
    File::open(dir)?.sync_all()
}

fn to_pem(pkcs8: &[u8]) -> String {
    let mut pem = format!("{BEGIN}\n");
    // RFC 7468: lines of 64 characters.
    for line in STANDARD.encode(pkcs8).as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + END + "\n"
}

/// The bytes of a text that is one PEM block and nothing else.
fn from_pem(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    /// Made by `openssl genpkey -algorithm ed25519`; its public half by `openssl pkey -pubout`.
    const BY_OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEILEkFubFKbTSBlFuIR6F8gc+xHA20TWslJXROgtI/9Os\n-----END PRIVATE KEY-----\n";
    const PUBLIC_BY_OPENSSL: &str = "hAlzh5tHlBzQT1nFUvZPdWOvWBOhTG73+fY056UnUj0=";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn keys_are_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data/keys");
        let made = KeyFolder::open_or_create(&dir).unwrap();
        let read = KeyFolder::open_or_create(&dir).unwrap();
        assert_eq!(made.trust().services, read.trust().services);
        assert_eq!(made.operator().public(), read.operator().public());
        let mut files: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let expected =
            ["directory-service.key", "identity-service.key", "operator.key", "subscription-service.key"];
        assert_eq!(files, expected, "no draft stays behind");
        assert!(files.iter().all(|file| mode(&dir.join(file)) == 0o600));
        assert_eq!(mode(&dir), 0o700);
    }

    #[test]
    fn the_trust_holds_the_public_half_of_each() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open_or_create(folder.path()).unwrap();
        let trust = keys.trust();
        for service in Service::ALL {
            assert_eq!(trust.services[&service], keys.service(service).public());
        }
        assert_eq!(trust.operator.as_deref(), Some(keys.operator().public()));
        let different: std::collections::HashSet<_> =
            trust.services.values().chain(&trust.operator).collect();
        assert_eq!(different.len(), 4);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        KeyFolder::open_or_create(folder.path()).unwrap();
        let path = folder.path().join("identity-service.key");
        let before = fs::read(&path).unwrap();
        for open in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
            let refused = KeyFolder::open_or_create(folder.path()).unwrap_err();
            assert!(matches!(refused, KeyError::OpenToOthers(_)), "{open:o}");
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        KeyFolder::open_or_create(folder.path()).unwrap();
    }

    #[test]
    fn a_broken_key_is_refused_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        let whole = to_pem(PrivateKey::generate().unwrap().pkcs8());
        let encrypted = whole.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let twice = whole.clone() + &whole;
        for broken in ["", "nonsense", &whole[..80], &encrypted, &twice, &to_pem(b"not a key")] {
            write(&path, broken, 0o600);
            let refused = KeyFolder::open_or_create(folder.path()).unwrap_err();
            assert!(matches!(refused, KeyError::Invalid(_)), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        }
    }

    #[test]
    fn a_key_made_by_openssl_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        write(&path, BY_OPENSSL, 0o600);
        let key = read_key(&path).unwrap();
        assert_eq!(STANDARD.encode(key.public()), PUBLIC_BY_OPENSSL);
    }

    #[test]
    fn whoever_is_second_goes_on_with_the_key_that_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let (first, second) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        for key in [&first, &second] {
            put(&path, &to_pem(key.pkcs8()), 0o600).unwrap();
        }
        assert_eq!(read_key(&path).unwrap().public(), first.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
