"""What guardrails do to ramps that are sick and to ramps that are healthy: ten thousand simulated ramps of each kind."""
