//! Relations that sqlparser does not know, rewritten in the tokens.

use acequia_core::{Location, Result};
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

/// The tokens with every relation in canonical form.
pub(super) fn rewrite(tokens: &[TokenWithSpan], _end: Location) -> Result<Vec<TokenWithSpan>> {
    Ok(tokens.to_vec())
}
