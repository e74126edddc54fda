//! What can go wrong in the store, as sentences that an operator can act on.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why the store could not be opened, read or written.
#[derive(Debug)]
pub enum StoreError {
    /// Another process, or another [`super::Store`] of this one, has the directory open.
    InUse(PathBuf),
    /// The directory was written by a newer version; it was not touched.
    NewerFormat {
        /// The file that says so.
        file: PathBuf,
        /// The version found in it.
        found: u64,
    },
    /// A file is not what the store wrote; it was not touched.
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// One of the two files is missing while the other one is there.
    Missing(PathBuf),
    /// There is no directory and none can be made.
    NoDirectory {
        /// The directory.
        directory: PathBuf,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// The file system refused something.
    Io {
        /// The file or directory concerned.
        file: PathBuf,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// redb refused something else.
    Database {
        /// The file concerned.
        file: PathBuf,
        /// redb's reason.
        reason: String,
    },
}

impl StoreError {
    /// Wraps an error of the file system.
    pub(super) fn io(file: &Path, error: std::io::Error) -> Self {
        Self::Io { file: file.to_owned(), error }
    }

    /// Reports damage of a file.
    pub(super) fn damaged(file: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), reason: reason.into() }
    }

    /// Translates any of redb's errors.
    pub(super) fn redb(file: &Path, error: impl Into<redb::Error>) -> Self {
        let file = file.to_owned();
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse(file),
            redb::Error::Corrupted(reason) => Self::Damaged { file, reason },
            redb::Error::UpgradeRequired(version) => {
                Self::Damaged { file, reason: format!("redb file format {version} is not supported") }
            }
            redb::Error::RepairAborted => {
                Self::Damaged { file, reason: "it was not closed and has no repair record".to_owned() }
            }
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Damaged { file, reason: error.to_string() }
            }
            redb::Error::Io(error) => Self::Io { file, error },
            error @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_)) => Self::Damaged { file, reason: error.to_string() },
            error => Self::Database { file, reason: error.to_string() },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(file) => write!(f, "{} is in use by another process", file.display()),
            Self::NewerFormat { file, found } => write!(
                f,
                "{} has storage format {found}, but this version reads formats up to {}; it was left untouched",
                file.display(),
                super::limits::FORMAT_VERSION
            ),
            Self::Damaged { file, reason } => {
                write!(f, "{} is damaged or not a file of this server: {reason}", file.display())
            }
            Self::Missing(file) => {
                write!(f, "{} is missing; its data cannot be known without it", file.display())
            }
            Self::NoDirectory { directory, error } => {
                write!(f, "cannot make the data directory '{}': {error}", directory.display())
            }
            Self::Io { file, error } => write!(f, "{}: {error}", file.display()),
            Self::Database { file, reason } => write!(f, "{}: {reason}", file.display()),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } | Self::NoDirectory { error, .. } => Some(error),
            _ => None,
        }
    }
}
