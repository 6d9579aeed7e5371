"""The console script `alignet`: one module a subcommand, each of them thin."""
