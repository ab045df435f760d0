"""Who may use the server: keys, tokens of one session, limits. docs/security.md tells why."""
