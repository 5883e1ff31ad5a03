"""Writes all generated files anew."""

from grafana.generator.rendering import rendered

for path, text in rendered().items():
    path.write_text(text, encoding="utf-8")
