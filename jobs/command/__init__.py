"""The command line as a whole: one verb is chosen and run, errors and signals become exit codes; manual and version."""
