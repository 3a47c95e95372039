"""The moments at which the packages above this one have a say, each inside its transaction.

A receiver that refuses raises one of services.errors: nothing has changed then.
"""

from django.dispatch import Signal

approving = Signal()  # participation, lineage: an institution is about to lend a dataset
starting = Signal()  # study: everybody approved, and its first round is about to be due
left = Signal()  # participation: the institution takes part no more
ended = Signal()  # study: no round can follow
