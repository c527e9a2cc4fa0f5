"""Collections of tasks: many examples each, with descriptions, templates or demonstrations."""
