"""What Grafana makes of a query before the database sees it."""
