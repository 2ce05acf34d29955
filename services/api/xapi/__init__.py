"""The resources of xAPI beside statements."""
