"""What is measured, not tested: timings as figures of one run on one machine, written to benchmarks/results when asked."""
