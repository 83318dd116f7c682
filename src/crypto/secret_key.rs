//! The key outside the database: without it a stolen database holds nothing that can be used.
//!
//! `secret.key` (mode 0600) holds one or two lines `<key id> <64 hex digits>`: the first makes new digests, the second is
//! still accepted, which is how the key is rotated. An environment variable may hold the same text.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use crate::types::text::random_base62;

const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    #[error("cannot read or create the secret key file {path}: {source}")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("the secret key file {0} can be read by others: run chmod 600 on it")]
    Permissions(String),
    #[error(
        "the secret key must be one or two lines of `<key id> <64 hex digits>`; line {0} is not"
    )]
    Malformed(usize),
    #[error("the secret key holds {0} keys; it must hold one, or two while it is being rotated")]
    Count(usize),
}

/// One key: its id (stored beside every digest) and its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    pub id: String,
    pub bytes: [u8; KEY_BYTES],
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.id)
    }
}

/// The live keys: the current one first, then at most one that is on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKeys(Vec<SecretKey>);

impl SecretKeys {
    pub fn generate() -> Self {
        Self(vec![SecretKey {
            id: random_base62(6),
            bytes: rand::random(),
        }])
    }

    pub fn current(&self) -> &SecretKey {
        &self.0[0]
    }

    pub fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        self.0.iter()
    }

    /// Reads the text of the file or of the environment variable.
    pub fn parse(text: &str) -> Result<Self, SecretKeyError> {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        if !(1..=2).contains(&lines.len()) {
            return Err(SecretKeyError::Count(lines.len()));
        }
        let keys = lines
            .iter()
            .enumerate()
            .map(|(index, line)| parse_line(line).ok_or(SecretKeyError::Malformed(index + 1)));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Reads the file. One that others can read is refused.
    pub fn load(path: &Path) -> Result<Self, SecretKeyError> {
        let failed = |source| SecretKeyError::File {
            path: path.display().to_string(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        check_mode(&file, path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        Self::parse(&text)
    }

    /// Reads the file, or creates it with a new key when it is missing.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretKeyError> {
        match Self::load(path) {
            Err(SecretKeyError::File { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let keys = Self::generate();
                create(path, &keys).map_err(|source| SecretKeyError::File {
                    path: path.display().to_string(),
                    source,
                })?;
                Ok(keys)
            }
            loaded => loaded,
        }
    }
}

fn parse_line(line: &str) -> Option<SecretKey> {
    let (id, digits) = line.split_once(char::is_whitespace)?;
    let digits = digits.trim();
    if id.len() > 16
        || !id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        || digits.len() != 2 * KEY_BYTES
        || !digits.is_ascii()
    {
        return None;
    }
    let mut bytes = [0; KEY_BYTES];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(SecretKey {
        id: id.to_owned(),
        bytes,
    })
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), SecretKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file
        .metadata()
        .map_err(|source| SecretKeyError::File {
            path: path.display().to_string(),
            source,
        })?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        Err(SecretKeyError::Permissions(path.display().to_string()))
    } else {
        Ok(())
    }
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<(), SecretKeyError> {
    Ok(())
}

fn create(path: &Path, keys: &SecretKeys) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut text = String::from(
        "# Countersign's secret key. Whoever has it and the database can forge credentials: keep it out of backups of the database.\n",
    );
    for key in keys.iter() {
        let digits = key.bytes.iter().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        let _ = writeln!(text, "{} {digits}", key.id);
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_created_private_and_read_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("secret.key");
        let created = SecretKeys::load_or_create(&path).expect("created");
        assert_eq!(SecretKeys::load_or_create(&path).expect("read"), created);
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(
            SecretKeys::load_or_create(&path),
            Err(SecretKeyError::Permissions(_))
        ));
    }

    #[test]
    fn anything_but_one_or_two_whole_keys_is_refused() {
        let key = "a ".to_owned() + &"0f".repeat(32);
        assert_eq!(
            SecretKeys::parse(&format!("{key}\nb {}\n", "00".repeat(32)))
                .map(|keys| keys.iter().count())
                .ok(),
            Some(2)
        );
        assert!(matches!(
            SecretKeys::parse(""),
            Err(SecretKeyError::Count(0))
        ));
        assert!(matches!(
            SecretKeys::parse(&key[..key.len() - 1]),
            Err(SecretKeyError::Malformed(1))
        ));
        assert!(matches!(
            SecretKeys::parse(&key.replace("0f", "0ä")),
            Err(SecretKeyError::Malformed(1))
        ));
    }
}
