"""What is asked of a DICOMweb server, and how its answers are read."""
