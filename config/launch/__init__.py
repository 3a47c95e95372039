"""Starting every real process of an installation on one machine, and stopping exactly those."""
