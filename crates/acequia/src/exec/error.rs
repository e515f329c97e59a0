//! Errors of DataFusion inside operators: what it cannot compute with is the data's fault.

use acequia_core::{Error, ErrorKind};
use datafusion::common::DataFusionError;

/// Turns an error that DataFusion gave while it ran into ours.
pub(super) fn from_datafusion(error: DataFusionError) -> Error {
    let root = error.find_root();
    let kind = match root {
        DataFusionError::ResourcesExhausted(_) => ErrorKind::ResourceExhausted,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::Internal(_) => ErrorKind::Internal,
        DataFusionError::Plan(_) => ErrorKind::Invalid,
        _ => ErrorKind::Data,
    };
    let message = root.message().to_string();
    Error::new(kind, message).with_source(error)
}
