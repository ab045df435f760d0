"""The presenter: a script that is read live, and can be changed while it is being read."""
