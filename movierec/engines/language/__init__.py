"""What the llm engine is made of: a retriever, a prompt, a reader of answers that trusts nothing, and its doors."""
