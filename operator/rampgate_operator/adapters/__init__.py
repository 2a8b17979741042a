"""One file per outside system. Adapters may use the core; the core never uses them."""
