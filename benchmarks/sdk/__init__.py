"""How fast, how steady and how light the SDK is, beside an inline `if`, Eppo's SDK and OpenFeature with flagd, in one run."""
