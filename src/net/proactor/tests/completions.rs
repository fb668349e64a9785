//! What only a driver of completions can get wrong.
