"""Who is signed in: passwords, tokens, throttling."""
