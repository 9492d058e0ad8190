"""What `pulumi up` would do: read from a preview, made for several stacks, and told as Markdown."""
