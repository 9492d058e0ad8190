"""What can be known before an `up`: whether the subscription has, allows and offers what a stack would make.

`finding` is one outcome, `plan` reads what the stack would make from Pulumi's preview, `subscription` asks Azure's
management (ARM). The verb `doctor` shows all of it, and asks the deployed services themselves. Nothing is changed.
"""
