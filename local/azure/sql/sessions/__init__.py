"""Sessions: who is logged in, what they may do, their transactions, and the execution of their statements."""
