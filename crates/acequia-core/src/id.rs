//! Names of things, each its own type so that no two can be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The identity of a query for the life of its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueryId(pub String);

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// The one after this.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of a micro-batch, from 0 on, without gaps, for the life of the checkpoint.
    BatchId, u64
}
number! {
    /// The fencing token of a run: claimed at start, strictly growing over all runs of a checkpoint.
    Epoch, u64
}
number! {
    /// A stateful operator of a query, stable over restarts.
    OperatorId, u32
}
