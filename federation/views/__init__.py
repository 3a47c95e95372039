"""The live panels of a study and the download of its model."""
