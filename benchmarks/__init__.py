"""Comparisons with the programs and libraries of others; no part of the product."""
