"""T-SQL as text: statements translated for a store, and statements about users and rights as records. Pure."""
