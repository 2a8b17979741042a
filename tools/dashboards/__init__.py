"""The Grafana dashboards in `dashboards/`, and the chart's copies: `python -m tools.dashboards` writes them."""
