//! DataFusion's errors in this project's words.

use acequia_core::{Error, ErrorKind, Location};
use datafusion::common::{DataFusionError, Diagnostic};

/// Turns an error of DataFusion into ours: its kind, its message without DataFusion's prefixes, its place in the SQL.
pub fn from_datafusion(error: DataFusionError) -> Error {
    let location = error.diagnostic().and_then(place);
    let root = error.find_root();
    if let DataFusionError::External(inner) = root
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        let again = Error::new(ours.kind(), ours.message());
        return at(again, ours.location().or(location));
    }
    let kind = match root {
        DataFusionError::ResourcesExhausted(_) => ErrorKind::ResourceExhausted,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => ErrorKind::Unavailable,
        DataFusionError::ArrowError(_, _)
        | DataFusionError::ParquetError(_)
        | DataFusionError::Execution(_) => ErrorKind::Data,
        _ => ErrorKind::Invalid,
    };
    at(Error::new(kind, message(root)), location).with_source(error)
}

/// An error of reading a statement into a plan. No row is read there, so what is wrong is the statement.
pub(crate) fn from_planning(error: DataFusionError) -> Error {
    let error = from_datafusion(error);
    if error.kind() != ErrorKind::Data {
        return error;
    }
    at(Error::invalid(error.message()), error.location()).with_source(error)
}

/// The same for an error that crosses DataFusion on its way up.
pub(crate) fn into_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn at(error: Error, location: Option<Location>) -> Error {
    match location {
        Some(location) => error.at(location),
        None => error,
    }
}

fn place(diagnostic: &Diagnostic) -> Option<Location> {
    diagnostic.span.map(|span| Location { line: span.start.line, column: span.start.column })
}

/// DataFusion's message on one line, its class prefix left out, in lower case.
fn message(error: &DataFusionError) -> String {
    let text = error.message().replace(".\n", "; ").replace('\n', " ");
    let text = text
        .trim_end_matches('.')
        .trim()
        .replace("; Valid fields", "; valid fields")
        .replace("; Did you", "; did you");
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text,
    }
}
