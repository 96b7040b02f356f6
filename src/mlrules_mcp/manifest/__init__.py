"""Rule files: how they are read, put together, looked up and scoped to files.

The modules are imported by name, so that the command line pays only for what it uses: `model`, `compiled` and
`globs` load neither pydantic nor PyYAML, `reader` does.
"""
