"""The forms of the pages: they read what people typed, the protocol document judges it."""
