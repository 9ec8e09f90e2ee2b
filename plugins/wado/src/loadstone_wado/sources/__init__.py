"""Where DICOM objects come from: files and folders, WADO-URI, WADO-RS."""
