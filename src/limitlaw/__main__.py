"""`python -m limitlaw` is the command line."""

from limitlaw.cli.main import main

main()
