"""One Batch account at run time: its state, its scheduling, who may call it and which images its pools may use."""
