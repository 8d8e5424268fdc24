"""Drawings as SVG, made on the server: no script, no inline style, colours by class."""
