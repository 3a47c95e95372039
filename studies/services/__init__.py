"""The only functions that change rows of studies: one writer per noun."""
