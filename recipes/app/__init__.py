"""The application: from YAML and the command line to runs, measurements and pages."""
