"""The pure protocol: documents, messages, signatures and tensors that hub and sites share."""
