"""What each operation of the data plane does, one module per resource: `async def verb(call: Call) -> Answer`."""
