"""Programmes as the api has them: published, previewed and explained; who issues, and the credentials that are given."""
