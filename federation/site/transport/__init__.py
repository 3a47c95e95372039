"""How the site speaks with the hub: outwards only, one kept-alive connection, signed requests."""
