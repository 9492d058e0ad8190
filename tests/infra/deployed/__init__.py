"""The program deployed by the real Pulumi CLI on a running local Azure whose nodes are records: no engine is asked."""
