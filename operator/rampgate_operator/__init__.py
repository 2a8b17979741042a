"""The Rampgate operator."""
