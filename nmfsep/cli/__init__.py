"""The command line: one subcommand a file; the only place that imports click."""
