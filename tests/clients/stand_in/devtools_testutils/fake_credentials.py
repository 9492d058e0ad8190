"""A password that Azure would take."""

BATCH_TEST_PASSWORD = "kt#_gahr!@aGERDXA"
