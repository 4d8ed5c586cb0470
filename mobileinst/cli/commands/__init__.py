"""The commands of `mobileinst`, a module for each: its HELP, `add_arguments` and `run`.

Modules are imported whenever the program starts, so what they need to run is imported in `run`.
"""
