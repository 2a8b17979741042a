"""What would these guardrails do? Ramps of an Experiment in a world that is made up: who is rolled back, when, and how often for nothing.

product.py plays one ramp through the operator's own questions, verdicts and decisions; twin.py plays thousands at once, as arrays, and a
test holds the two equal. Knows specs and chance. Must not know Prometheus, clusters or clocks.
"""
