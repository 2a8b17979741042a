"""One file per subcommand; third-party modules are imported when a command runs."""
