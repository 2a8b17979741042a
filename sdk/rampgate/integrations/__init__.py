"""What rampgate plugs into: one file per library, each imported only by who uses it."""
