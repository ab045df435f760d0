"""Where a session goes besides its viewers: into files, and to streaming servers.

An output takes a seat in the audience and gets what viewers get, in a bounded channel of its own;
whatever becomes of it, neither viewers nor the line wait for it.
"""
