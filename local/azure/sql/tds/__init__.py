"""The Tabular Data Stream protocol: packets and TLS, login, requests, values and the tokens of a reply. Bytes only."""
