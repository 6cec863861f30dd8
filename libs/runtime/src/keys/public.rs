//! Public halves in files of their own (PEM, SPKI), so that services on different hosts share no private key (K6).

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use access::Service;
use access::token::Trust;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, KeyFolder, MOST_FILE_BYTES, put};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// What stands before the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PUBLIC_BYTES: usize = 32;
/// The operator's file name, beside those of the services.
const OPERATOR: &str = "operator";

/// Makes a folder of private keys with the folder `trust` of their public halves in it, or completes one.
///
/// Nothing that stands is ever replaced; gives the folder of the public halves.
pub fn init(dir: &Path) -> Result<PathBuf, KeyError> {
    let trust = dir.join("trust");
    for name in names() {
        let (private, public) = (dir.join(format!("{name}.key")), trust.join(format!("{name}.pub")));
        if public.exists() && !private.exists() {
            // A new key in its place would be one that nobody believes, and could open nothing that the old one sealed.
            return Err(KeyError::Lost { private, public });
        }
    }
    let keys = KeyFolder::open_or_create(dir)?;
    fs::create_dir_all(&trust).map_err(|error| KeyError::Unusable { path: trust.clone(), error })?;
    let services = Service::ALL.map(|service| (service.as_str(), keys.service(service)));
    for (name, key) in services.into_iter().chain([(OPERATOR, keys.operator())]) {
        let path = trust.join(format!("{name}.pub"));
        put(&path, &to_pem(key.public()), 0o644)
            .map_err(|error| KeyError::Unusable { path: path.clone(), error })?;
        if read_public(&path)? != key.public() {
            return Err(KeyError::Foreign { private: dir.join(format!("{name}.key")), public: path });
        }
    }
    Ok(trust)
}

/// Reads the public keys of all services and of the operator from a folder.
pub fn read_trust(dir: &Path) -> Result<Trust, KeyError> {
    let read = |name: &str| read_public(&dir.join(format!("{name}.pub")));
    let services = Service::ALL.map(|service| read(service.as_str()).map(|key| (service, key)));
    let services = services.into_iter().collect::<Result<_, _>>()?;
    Ok(Trust { services, operator: Some(read(OPERATOR)?) })
}

fn names() -> impl Iterator<Item = &'static str> {
    Service::ALL.map(Service::as_str).into_iter().chain([OPERATOR])
}

fn read_public(path: &Path) -> Result<Vec<u8>, KeyError> {
    let mut text = String::new();
    let file = fs::File::open(path);
    match file.and_then(|file| file.take(MOST_FILE_BYTES).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
        Err(error) => return Err(KeyError::Unusable { path: path.to_owned(), error }),
    }
    from_pem(&text).ok_or_else(|| KeyError::PublicInvalid(path.to_owned()))
}

fn to_pem(public: &[u8]) -> String {
    let spki = [&SPKI_PREFIX, public].concat();
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(spki))
}

fn from_pem(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let spki = STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()?;
    let public = spki.strip_prefix(&SPKI_PREFIX)?;
    (public.len() == PUBLIC_BYTES).then(|| public.to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::keys::read_key;

    /// Made by `openssl pkey -pubout`, of the private key in the tests of the parent module.
    const BY_OPENSSL: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAhAlzh5tHlBzQT1nFUvZPdWOvWBOhTG73+fY056UnUj0=\n-----END PUBLIC KEY-----\n";

    fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let files = names().flat_map(|name| [format!("{name}.key"), format!("trust/{name}.pub")]);
        files.map(|file| (dir.join(&file), fs::read(dir.join(&file)).unwrap())).collect()
    }

    #[test]
    fn keys_are_made_once_with_their_public_halves() {
        let folder = tempfile::tempdir().unwrap();
        let trust = init(folder.path()).unwrap();
        let before = contents(folder.path());
        assert_eq!(init(folder.path()).unwrap(), trust);
        assert_eq!(contents(folder.path()), before);
        let read = read_trust(&trust).unwrap();
        let key = |name: &str| read_key(&folder.path().join(format!("{name}.key"))).unwrap();
        for service in Service::ALL {
            assert_eq!(read.services[&service], key(service.as_str()).public());
        }
        assert_eq!(read.operator.as_deref(), Some(key("operator").public()));
    }

    #[test]
    fn what_is_missing_is_completed_and_nothing_else_touched() {
        let folder = tempfile::tempdir().unwrap();
        let trust = init(folder.path()).unwrap();
        let before = contents(folder.path());
        fs::remove_file(trust.join("operator.pub")).unwrap();
        init(folder.path()).unwrap();
        assert_eq!(contents(folder.path()), before);
    }

    #[test]
    fn two_at_once_make_one_set_of_keys_and_leave_no_draft() {
        for _ in 0..8 {
            let folder = tempfile::tempdir().unwrap();
            let at_once = Barrier::new(4);
            let made: Vec<_> = thread::scope(|scope| {
                let init = || {
                    at_once.wait();
                    init(folder.path())
                };
                let racing: Vec<_> = (0..4).map(|_| scope.spawn(init)).collect();
                racing.into_iter().map(|one| one.join().unwrap()).collect()
            });
            for trust in made {
                assert_eq!(read_trust(&trust.unwrap()).unwrap().services.len(), 3);
            }
            // The keys and the folder of their public halves; and these halves alone.
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
            assert_eq!(fs::read_dir(folder.path().join("trust")).unwrap().count(), 4);
        }
    }

    #[test]
    fn what_a_killed_attempt_has_left_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let trust = init(folder.path()).unwrap();
        let before = contents(folder.path());
        let public = read_key(&folder.path().join("operator.key")).unwrap();
        let whole = trust.join("operator.pub");
        fs::rename(&whole, trust.join(format!(".{}.draft", public.public_x()))).unwrap();
        init(folder.path()).unwrap();
        assert_eq!(contents(folder.path()), before);
    }

    #[test]
    fn a_complete_folder_is_only_read() {
        let folder = tempfile::tempdir().unwrap();
        let trust = init(folder.path()).unwrap();
        // A file that comes or goes would make its folder's time a new one.
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
        for dir in [folder.path(), &trust] {
            fs::File::open(dir).unwrap().set_modified(long_ago).unwrap();
        }
        init(folder.path()).unwrap();
        for dir in [folder.path(), &trust] {
            assert_eq!(fs::metadata(dir).unwrap().modified().unwrap(), long_ago);
        }
    }

    #[test]
    fn a_lost_private_key_is_not_made_anew_beside_its_public_half() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path()).unwrap();
        let lost = folder.path().join("identity-service.key");
        fs::remove_file(&lost).unwrap();
        assert!(matches!(init(folder.path()), Err(KeyError::Lost { .. })));
        assert!(!lost.exists());
    }

    #[test]
    fn a_public_half_of_another_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let trust = init(folder.path()).unwrap();
        let operator = fs::read(trust.join("operator.pub")).unwrap();
        fs::write(trust.join("directory-service.pub"), &operator).unwrap();
        let refused = init(folder.path()).unwrap_err();
        assert!(matches!(refused, KeyError::Foreign { .. }), "{refused}");
        assert_eq!(fs::read(trust.join("directory-service.pub")).unwrap(), operator);
    }

    #[test]
    fn public_keys_have_openssls_form_and_no_other() {
        let public = from_pem(BY_OPENSSL).unwrap();
        assert_eq!(to_pem(&public), BY_OPENSSL);
        let private = BY_OPENSSL.replace("PUBLIC", "PRIVATE");
        let longer = BY_OPENSSL.replace("Uj0=", "Uj0AAA==");
        for wrong in ["", "nonsense", &private, &longer, &BY_OPENSSL.repeat(2)] {
            assert_eq!(from_pem(wrong), None, "{wrong}");
        }
    }
}
