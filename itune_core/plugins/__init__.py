"""Plugins: find -> check -> load -> call.

`catalog` lists what is installed and imports none of it; `policy` says whether one may be used; `loader` imports
exactly that one and holds it to its contract; `session` calls it through pluggy. `locks` pins what is installed.
"""
