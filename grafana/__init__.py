"""What Grafana needs: dashboards, data sources, alert rules."""
