"""What people see and are asked: the only printer, the live table, the question before something is done."""
