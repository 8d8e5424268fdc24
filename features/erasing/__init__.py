"""What `goldpan erase` takes out of a workspace: an account's rows or a person's."""
