"""The command line: the library's words, one command each."""
