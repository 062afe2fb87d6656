"""Where features are kept: one file format a module."""
