//! The error of every public call.
//!
//! A kind is chosen by what its reader does next, not by the place that failed. Messages are lower case, without a
//! full stop, with the facts at the end and the way out after a semicolon.

use std::fmt;

/// What a fallible call of this project returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The SQL, an option or a call is wrong: mend it.
    Invalid,
    /// Valid, but cannot be done incrementally (yet): say it another way.
    Unsupported,
    /// A peer, disk or network did not answer: try again.
    Unavailable,
    /// Input or a checkpoint is damaged or malformed: mend or skip the named place.
    Data,
    /// A newer run owns this checkpoint: this one has stopped and has published nothing more.
    Fenced,
    /// A limit of memory, disk or rows was reached.
    ResourceExhausted,
    /// The caller asked for it.
    Cancelled,
    /// A broken invariant: our bug.
    Internal,
}

impl ErrorKind {
    /// The kind's name in machine-readable output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::Unavailable => "unavailable",
            Self::Data => "data",
            Self::Fenced => "fenced",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in the text of a statement or file, counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The one error type: `kind` says what to do, `message` what happened, `source` what caused it.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    location: Option<Location>,
    source: Option<Cause>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
        }
    };
}

constructors! {
    /// An error of kind [`ErrorKind::Invalid`].
    invalid => Invalid,
    /// An error of kind [`ErrorKind::Unsupported`].
    unsupported => Unsupported,
    /// An error of kind [`ErrorKind::Unavailable`].
    unavailable => Unavailable,
    /// An error of kind [`ErrorKind::Data`].
    data => Data,
    /// An error of kind [`ErrorKind::Fenced`].
    fenced => Fenced,
    /// An error of kind [`ErrorKind::ResourceExhausted`].
    resource_exhausted => ResourceExhausted,
    /// An error of kind [`ErrorKind::Cancelled`].
    cancelled => Cancelled,
    /// An error of kind [`ErrorKind::Internal`].
    internal => Internal,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { inner: Box::new(Inner { kind, message: message.into(), location: None, source: None }) }
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What happened, without the place in the SQL and without the cause.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The place in the SQL, where there is one.
    pub fn location(&self) -> Option<Location> {
        self.inner.location
    }

    /// The same error at a place in the SQL; a place that is known already stays.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.inner.location.get_or_insert(location);
        self
    }

    /// The same error with its place replaced, for a text that is part of a larger one.
    #[must_use]
    pub fn map_location(mut self, f: impl FnOnce(Location) -> Location) -> Self {
        self.inner.location = self.inner.location.map(f);
        self
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The same error, its message preceded by what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.inner.message = format!("{doing}: {}", self.inner.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(at) = self.inner.location {
            write!(f, " (line {}, column {})", at.line, at.column)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.inner.kind)?;
        match &self.inner.source {
            Some(source) => write!(f, " (caused by {source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_ref().map(|s| s.as_ref() as _)
    }
}

impl From<arrow::error::ArrowError> for Error {
    /// Arrow's own errors: overflow, bad casts and malformed input are the data's fault; the rest is ours.
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError as A;
        let kind = match &error {
            A::CastError(_)
            | A::ParseError(_)
            | A::JsonError(_)
            | A::CsvError(_)
            | A::ParquetError(_)
            | A::IpcError(_)
            | A::DivideByZero
            | A::ArithmeticOverflow(_)
            | A::ComputeError(_) => ErrorKind::Data,
            A::IoError(_, _) => ErrorKind::Unavailable,
            A::MemoryError(_) => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match error.kind() {
            K::NotFound
            | K::PermissionDenied
            | K::InvalidInput
            | K::InvalidFilename
            | K::ReadOnlyFilesystem
            | K::NotADirectory
            | K::IsADirectory => ErrorKind::Invalid,
            K::StorageFull | K::QuotaExceeded | K::OutOfMemory | K::FileTooLarge => {
                ErrorKind::ResourceExhausted
            }
            K::InvalidData | K::UnexpectedEof => ErrorKind::Data,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_message_and_place() {
        let error = Error::invalid("unknown option: `pth`").at(Location { line: 2, column: 7 });
        assert_eq!(error.to_string(), "unknown option: `pth` (line 2, column 7)");
        assert_eq!(error.context("create stream `s`").message(), "create stream `s`: unknown option: `pth`");
    }

    #[test]
    fn full_disk_is_resource_exhausted() {
        let error = Error::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    }
}
